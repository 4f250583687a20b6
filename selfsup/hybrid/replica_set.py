"""The replicas of a task: what they contribute to a step together."""

import dataclasses
from typing import Any

import tensorflow as tf

from selfsup.hybrid.exchange import Exchange
from selfsup.hybrid.placement import host_of
from selfsup.hybrid.replica import LocalCopy, Master


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What a task's replicas contribute to a step, in the graph of that step.

    Attributes:
      gradients: their mean by the replicas' shares, or None, for each master variable,
        where that lives.
      finite: bool scalar, whether the gradients and every replica's total are.
      logs: dict of scalars: the objective's, by the same mean, and "gradient_norm".
      replacements: int32 [batch_size], see `Replica`.
      statistics: what `settle` needs to know of them.
      times: for each replica a dict of float64 seconds; see `timeline.Recorder.add`.
    """

    gradients: list
    finite: Any
    logs: dict
    replacements: Any
    statistics: list
    times: list


class MasterSet:
    """The master as the only replica of its task, in the graph of a step.

    Attributes:
      workload: the task's `Workload`.
      devices: none.
      replicas: 1.
    """

    devices = ()
    replicas = 1

    def __init__(self, workload):
        self.workload = workload
        self._master = Master(workload)

    @property
    def examples(self) -> int:
        """Examples of a step."""
        return self.workload.batch_size

    def open_input(self, number):
        """Iterators over the batches from step `number` on, as of `ReplicaSet`."""
        return [iter(self.workload.master.batches(number * self.workload.batch_size))]

    def contribute(self, iterators, number, timed=False):
        """As of `ReplicaSet`; there is nothing to time."""
        del timed
        seed = _seed(self.workload, 0, number)
        outcome = self._master.contribute(next(iterators[0]), seed)
        norm = _global_norm(outcome.gradients)
        return Contribution(
            outcome.gradients,
            tf.math.is_finite(norm) & tf.math.is_finite(outcome.total),
            {**outcome.logs, "gradient_norm": norm},
            outcome.replacements,
            outcome.statistics,
            [],
        )

    def settle(self, contribution, applied):
        """Puts the statistics back if the step was not applied."""
        self._master.settle(contribution.statistics, applied)


class ReplicaSet:
    """Replicas of one task on fixed devices, side by side in the graph of a step.

    Attributes:
      workload: the task's `Workload`.
      devices: device names.
      replicas: how many there are.
      examples: examples of a step of all of them together.
    """

    def __init__(self, workload, devices):
        """
        Args:
          workload: a `Workload`.
          devices: device names.
        """
        self.workload = workload
        self.devices = tuple(devices)
        self._replicas = [
            LocalCopy(workload, device, index, len(devices))
            for index, device in enumerate(devices)
        ]
        self.replicas = len(self._replicas)
        self.examples = sum(one.replica.batch_size for one in self._replicas)
        hosts = workload.transfer.hosts(self.devices)
        dtype = tf.as_dtype(workload.transfer.dtype)
        master = workload.master
        self._values = Exchange(master.variables, self.devices, hosts, dtype)
        self._statistics = Exchange(master.statistics, self.devices, hosts, tf.float32)

    def open_input(self, number):
        """Iterators over the replicas' batches from step `number` on."""
        return [self._open_input(one, number) for one in self._replicas]

    def _open_input(self, replica, number):
        with tf.device(host_of(replica.device)):
            position = number * replica.replica.batch_size
            return iter(replica.replica.batches(position))

    def contribute(self, iterators, number, timed=False):
        """Runs all replicas forward and backward; to be traced.

        Args:
          iterators: as of `open_input`.
          number: int32 scalar, the step's.
          timed: whether to note times.

        Returns:
          a `Contribution`.
        """
        values, statistics = self._values.pull(), self._statistics.pull()
        outcomes = []
        for index, replica in enumerate(self._replicas):
            times = {}
            examples = _next(replica, iterators[index], times if timed else None)
            seed = _seed(self.workload, index, number)
            share = replica.replica.batch_size / self.examples
            outcome = replica.contribute(
                examples, seed, values[index], statistics[index], share, timed
            )
            outcome.times.update(times)
            outcomes.append(outcome)
        return self._combine(outcomes, timed)

    def _combine(self, outcomes, timed):
        gradients, arrivals = self._values.push(
            [one.gradients for one in outcomes], timed
        )
        moved, _ = self._statistics.push([one.statistics for one in outcomes])
        times = [
            {**outcome.times, "arrived": arrived} if timed else {}
            for outcome, arrived in zip(outcomes, arrivals)
        ]
        norm = _global_norm(gradients)
        finite = tf.math.is_finite(norm)
        for outcome in outcomes:
            finite &= tf.math.is_finite(outcome.total)
        logs = self._mean([outcome.logs for outcome in outcomes])
        return Contribution(
            gradients,
            finite,
            {**logs, "gradient_norm": norm},
            tf.concat([outcome.replacements for outcome in outcomes], 0),
            moved,
            times,
        )

    def settle(self, contribution, applied):
        """Adds what the forward passes did to the statistics, if the step was applied."""
        masters = self.workload.master.statistics
        for variable, moved in zip(masters, contribution.statistics):
            with tf.device(variable.device):
                push = tf.where(applied, moved, tf.zeros_like(moved))
                variable.assign_add(push)

    def _mean(self, dicts):
        """Mean of the replicas' dicts of scalars, by their shares of the examples."""
        if len(dicts) == 1:
            return dicts[0]
        weights = [one.replica.batch_size / self.examples for one in self._replicas]
        return {
            key: tf.add_n([w * one[key] for w, one in zip(weights, dicts)])
            for key in dicts[0]
        }


def replica_set(workload, devices):
    """The `ReplicaSet` on `devices`, or the `MasterSet` where there are none."""
    return ReplicaSet(workload, devices) if devices else MasterSet(workload)


def _seed(workload, index, number):
    """Of a replica's random numbers in a step: another for each replica."""
    return tf.stack([tf.constant(workload.seed + index, tf.int32), number])


def _next(replica, iterator, times):
    """The next batch; notes when the step began there, and when it had the batch."""
    with tf.device(host_of(replica.device)):
        if times is not None:
            times["began"] = tf.timestamp()
        examples = next(iterator)
        if times is not None:
            with tf.control_dependencies(tf.nest.flatten(examples)):
                times["fetched"] = tf.timestamp()
    return examples


def _global_norm(gradients):
    """The norm over all gradients, each squared where it is."""
    squares = []
    for gradient in gradients:
        if gradient is not None:
            with tf.device(gradient.device):
                squares.append(tf.reduce_sum(tf.square(gradient)))
    return tf.sqrt(tf.add_n(squares))
