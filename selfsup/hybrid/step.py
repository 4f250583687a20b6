"""The common step of a group's replicas, which is all or nothing."""

import collections
import dataclasses
import time

import numpy as np
import tensorflow as tf

from selfsup.hybrid.exchange import EVIDENCE
from selfsup.hybrid.placement import host_of


@dataclasses.dataclass(frozen=True)
class Result:
    """What a step came to, for one of its tasks.

    Attributes:
      finite: whether the step's gradients were, so that they were applied.
      logs: dict of floats: the objective's scalars and "gradient_norm".
      replacements: int array, see `Replica`.
    """

    finite: bool
    logs: dict
    replacements: np.ndarray


class CommonStep:
    """The `tf.function` of a step that some replicas take together.

    It runs the replicas' graphs side by side, adds up the tasks' gradients where each
    master variable lives, and applies RMSProp there. Applying needs every gradient, so
    a replica that dies leaves nothing half done.

    Attributes:
      sets: a `ReplicaSet` or `MasterSet` for each task.
      devices: the replicas' device names; empty when the masters are the replicas.
      generation: a step lands only while the group's variable has this value.
    """

    def __init__(self, replica_sets, optimizer, generation, current, landed):
        """
        Args:
          replica_sets: a `ReplicaSet` for each task.
          optimizer: `RMSProp` over `all_variables` of the tasks' workloads.
          generation: int.
          current: int64 variable, the present generation.
          landed: int64 variable that counts the steps that landed.
        """
        self.generation = generation
        self.devices = tuple(
            dict.fromkeys(device for one in replica_sets for device in one.devices)
        )
        self.sets = replica_sets
        self._optimizer = optimizer
        self._current = current
        self._landed = landed
        self._variables = all_variables([one.workload for one in replica_sets])
        self._iterators = None
        self._recorder = replica_sets[0].workload.recorder
        tasks = " + ".join(one.workload.name for one in replica_sets)
        self._key = (tasks, self.devices)
        self._here = host_of(tf.zeros([]).device) if self.devices else None
        self._function = tf.function(self._traced)

    def close_input(self):
        """Forgets the position of the input: the next step opens it anew."""
        self._iterators = None

    def take(self, number, examples):
        """Takes step `number`, counted from 0.

        Args:
          number: int.
          examples: list of how many examples each task has taken before it, on which
            its learning rate may depend.

        Returns:
          a `Result` for each of the tasks; None when the generation had passed, and
          the step changed nothing.
        """
        if self._iterators is None:
            self._iterators = [one.open_input(number) for one in self.sets]
        timed = self._recorder is not None and self._recorder.wants(self._key)
        began = time.time()
        current, finite, logs, replacements, times = self._function(
            self._iterators,
            tf.constant(number, tf.int32),
            tf.constant(examples, tf.int64),
            timed,
        )
        if not current:
            return None
        if timed:
            self._record(number, began, times)
        return [
            Result(
                bool(finite),
                {name: float(value) for name, value in of_task.items()},
                shards.numpy(),
            )
            for of_task, shards in zip(logs, replacements)
        ]

    def _record(self, number, began, times):
        ended = time.time()
        by_replica = {}
        for one, of_set in zip(self.sets, times):
            for device, of_replica in zip(one.devices, of_set):
                noted = tf.nest.map_structure(float, of_replica)
                del noted["arrived"][EVIDENCE]
                by_replica[one.workload.name, device] = noted
        self._recorder.add(self._key, number, began, ended, by_replica)

    def _traced(self, iterators, number, examples, timed):
        # What says no device goes to any of the cluster, even another group's.
        with tf.device(self._current.device if self.devices else None):
            results = self._placed(iterators, number, examples, timed)
        # Fetched with the step: each would be a round trip to a server afterwards.
        with tf.device(self._here):
            return tf.nest.map_structure(tf.identity, results)

    def _placed(self, iterators, number, examples, timed):
        parts = [
            one.contribute(its_iterators, number, timed)
            for one, its_iterators in zip(self.sets, iterators)
        ]
        finite = tf.reduce_all([part.finite for part in parts])
        # Looked at when all gradients are there: a step may have been long on its way.
        with tf.device(self._current.device), tf.control_dependencies([finite]):
            current = tf.equal(self._current.read_value(), self.generation)
        rate = self._rate(number, examples)
        gradients = self._summed([part.gradients for part in parts])
        self._apply(gradients, finite & current, rate)
        for one, part in zip(self.sets, parts):
            one.settle(part, finite & current)
        with tf.device(self._landed.device):
            self._landed.assign_add(tf.cast(current, tf.int64))
        return (
            current,
            finite,
            [self._with_rate(part.logs, rate) for part in parts],
            [part.replacements for part in parts],
            [part.times for part in parts],
        )

    def _summed(self, gradients):
        """The tasks' gradients added up, or None, for each variable, where it lives."""
        parts = {variable.ref(): [] for variable in self._variables}
        for one, of_task in zip(self.sets, gradients):
            for variable, gradient in zip(one.workload.master.variables, of_task):
                if gradient is not None:
                    parts[variable.ref()].append(gradient)
        return [
            _sum_at(variable.device, parts[variable.ref()])
            for variable in self._variables
        ]

    def _rate(self, number, examples):
        """The learning rate, which is that of all tasks, float32."""
        with tf.device(self._current.device):
            rate = tf.cast(self.sets[0].workload.rate(examples[0]), tf.float32)
            return rate * self._optimizer.config.warmup(number)

    def _with_rate(self, logs, rate):
        """The learning rate beside a task's scalars where it changes along the run."""
        warmed_up = self._optimizer.config.warmup_steps > 0
        changes = warmed_up or self.sets[0].workload.has_schedule
        return {**logs, "learning_rate": rate} if changes else logs

    def _apply(self, gradients, applied, rate):
        """Applies RMSProp on each server, if `applied` says so."""
        for device, indices in _indices_by_device(self._variables).items():

            def apply(indices=indices):
                self._optimizer.apply(self._variables, gradients, rate, indices)

            with tf.device(device):
                tf.cond(applied, apply, lambda: None)


def all_variables(workloads):
    """The master variables that any of the workloads trains, each of them once."""
    found = {
        variable.ref(): variable
        for workload in workloads
        for variable in workload.master.variables
    }
    return list(found.values())


def _sum_at(device, parts):
    if len(parts) < 2:
        return parts[0] if parts else None
    with tf.device(device):
        return tf.add_n(parts)


def _indices_by_device(variables):
    """{device: indices of the variables there}."""
    found = collections.defaultdict(list)
    for index, variable in enumerate(variables):
        found[variable.device].append(index)
    return dict(found)
