"""The replicas of a group: their common step, which is all or nothing."""

import collections
import dataclasses

import numpy as np
import tensorflow as tf

from selfsup.hybrid.replica import LocalCopy, Master


@dataclasses.dataclass(frozen=True)
class Result:
    """What a step came to.

    Attributes:
      current: whether its generation had not passed; else it changed nothing.
      finite: whether its gradients were, so that they were applied.
      logs: dict of floats: the objective's scalars and "gradient_norm".
      stand_ins: int array, see `Replica`.
    """

    current: bool
    finite: bool
    logs: dict
    stand_ins: np.ndarray


class ReplicaSet:
    """Replicas on fixed devices, and the `tf.function` of their common step.

    It runs the replicas' graphs side by side, averages their gradients where each
    master variable lives, and applies RMSProp there. Applying needs every gradient, so
    a replica that dies leaves nothing half done.

    Attributes:
      devices: device names; empty when the master is the only replica.
      generation: a step lands only while the group's variable has this value.
    """

    def __init__(self, workload, optimizer, devices, generation, current, landed):
        """
        Args:
          workload: a `Workload`.
          optimizer: the group's `RMSProp`.
          devices: device names, or none to train on the master itself.
          generation: int.
          current: int64 variable, the group's generation.
          landed: int64 variable that counts the steps that landed.
        """
        self.devices = tuple(devices)
        self.generation = generation
        self._workload = workload
        self._optimizer = optimizer
        self._current = current
        self._landed = landed
        self._replicas = _make_replicas(workload, devices)
        self._by_server = _indices_by_device(workload.master.variables)
        self._iterators = None
        self._here = _host_of(tf.zeros([]).device) if devices else None
        self._step = tf.function(self._traced_step)

    def close_input(self):
        """Forgets the position of the input: the next step opens it anew."""
        self._iterators = None

    def step(self, number):
        """Takes step `number`, counted from 0; returns a `Result`."""
        if self._iterators is None:
            self._iterators = [self._open_input(one, number) for one in self._replicas]
        current, finite, logs, stand_ins = self._step(
            self._iterators, tf.constant(number, tf.int32)
        )
        return Result(
            bool(current),
            bool(finite),
            {name: float(value) for name, value in logs.items()},
            stand_ins.numpy(),
        )

    def _open_input(self, replica, number):
        with tf.device(_host_of(replica.device)):
            position = number * replica.replica.batch_size
            return iter(replica.replica.batches(position))

    def _traced_step(self, iterators, number):
        # What says no device goes to any of the cluster, even another group's.
        with tf.device(self._current.device if self.devices else None):
            results = self._placed_step(iterators, number)
        # Fetched with the step: each would be a round trip to a server afterwards.
        with tf.device(self._here):
            return tf.nest.map_structure(tf.identity, results)

    def _placed_step(self, iterators, number):
        outcomes = [
            replica.contribute(_next(replica, iterator), self._seed(index, number))
            for index, (replica, iterator) in enumerate(zip(self._replicas, iterators))
        ]
        gradients = self._mean_gradients(outcomes)
        norm = _global_norm(gradients)
        finite = tf.math.is_finite(norm)
        for outcome in outcomes:
            finite &= tf.math.is_finite(outcome.total)
        # Looked at when all gradients are there: a step may have been long on its way.
        with tf.device(self._current.device), tf.control_dependencies([finite]):
            current = tf.equal(self._current.read_value(), self.generation)
        self._apply(gradients, finite & current)
        for replica, outcome in zip(self._replicas, outcomes):
            replica.settle(outcome, finite & current)
        with tf.device(self._landed.device):
            self._landed.assign_add(tf.cast(current, tf.int64))
        logs = self._mean([outcome.logs for outcome in outcomes])
        stand_ins = tf.concat([outcome.stand_ins for outcome in outcomes], 0)
        return current, finite, {**logs, "gradient_norm": norm}, stand_ins

    def _seed(self, index, number):
        """Of a replica's random numbers in a step: another for each replica."""
        return tf.stack([tf.constant(self._workload.seed + index, tf.int32), number])

    def _weights(self):
        """The replicas' shares of the batch, which sum to 1."""
        sizes = [one.replica.batch_size for one in self._replicas]
        return [size / sum(sizes) for size in sizes]

    def _mean(self, dicts):
        """Mean of the replicas' dicts of scalars, by their shares."""
        if len(dicts) == 1:
            return dicts[0]
        return {
            key: tf.add_n([w * one[key] for w, one in zip(self._weights(), dicts)])
            for key in dicts[0]
        }

    def _mean_gradients(self, outcomes):
        """The gradients' mean by the replicas' shares, where each variable lives."""
        if len(outcomes) == 1:
            return outcomes[0].gradients
        weights = self._weights()
        means = []
        for index, variable in enumerate(self._workload.master.variables):
            parts = [outcome.gradients[index] for outcome in outcomes]
            if parts[0] is None:
                means.append(None)
                continue
            with tf.device(variable.device):
                means.append(tf.add_n([w * part for w, part in zip(weights, parts)]))
        return means

    def _apply(self, gradients, applied):
        """Applies RMSProp on each server, if `applied` says so."""
        for device, indices in self._by_server.items():

            def apply(indices=indices):
                self._optimizer.apply(
                    self._workload.master.variables,
                    gradients,
                    self._workload.learning_rate,
                    indices,
                )

            with tf.device(device):
                tf.cond(applied, apply, lambda: None)


def _make_replicas(workload, devices):
    if not devices:
        return [Master(workload)]
    count = len(devices)
    return [
        LocalCopy(workload, device, index, count)
        for index, device in enumerate(devices)
    ]


def _next(replica, iterator):
    with tf.device(_host_of(replica.device)):
        return next(iterator)


def _indices_by_device(variables):
    """{device: indices of the variables there}."""
    found = collections.defaultdict(list)
    for index, variable in enumerate(variables):
        found[variable.device].append(index)
    return dict(found)


def _host_of(device):
    """The CPU of a device's machine, where its input pipeline runs."""
    if device is None:
        return None
    spec = tf.DeviceSpec.from_string(device)
    return spec.replace(device_type="CPU", device_index=0).to_string()


def _global_norm(gradients):
    """The norm over all gradients, each squared where it is."""
    squares = []
    for gradient in gradients:
        if gradient is not None:
            with tf.device(gradient.device):
                squares.append(tf.reduce_sum(tf.square(gradient)))
    return tf.sqrt(tf.add_n(squares))
