"""The replicas of a task: what they contribute to a step together."""

import dataclasses
from typing import Any

import tensorflow as tf

from selfsup.hybrid.replica import LocalCopy, Master


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What a task's replicas contribute to a step, in the graph of that step.

    Attributes:
      gradients: their mean by the replicas' shares, or None, for each master variable,
        where that lives.
      finite: bool scalar, whether the gradients and every replica's total are.
      logs: dict of scalars: the objective's, by the same mean, and "gradient_norm".
      stand_ins: int32 [batch_size], see `Replica`.
      outcomes: the replicas' `Outcome`s.
    """

    gradients: list
    finite: Any
    logs: dict
    stand_ins: Any
    outcomes: list


class ReplicaSet:
    """Replicas of one task on fixed devices, side by side in the graph of a step.

    Attributes:
      workload: the task's `Workload`.
      devices: device names; empty when the master is the only replica.
    """

    def __init__(self, workload, devices):
        """
        Args:
          workload: a `Workload`.
          devices: device names, or none to train on the master itself.
        """
        self.workload = workload
        self.devices = tuple(devices)
        self._replicas = _make_replicas(workload, devices)

    def open_input(self, number):
        """Iterators over the replicas' batches from step `number` on."""
        return [self._open_input(one, number) for one in self._replicas]

    def _open_input(self, replica, number):
        with tf.device(host_of(replica.device)):
            position = number * replica.replica.batch_size
            return iter(replica.replica.batches(position))

    def contribute(self, iterators, number):
        """Runs all replicas forward and backward; to be traced.

        Args:
          iterators: as of `open_input`.
          number: int32 scalar, the step's.

        Returns:
          a `Contribution`.
        """
        outcomes = [
            replica.contribute(_next(replica, iterator), self._seed(index, number))
            for index, (replica, iterator) in enumerate(zip(self._replicas, iterators))
        ]
        gradients = self._mean_gradients(outcomes)
        norm = _global_norm(gradients)
        finite = tf.math.is_finite(norm)
        for outcome in outcomes:
            finite &= tf.math.is_finite(outcome.total)
        logs = self._mean([outcome.logs for outcome in outcomes])
        return Contribution(
            gradients,
            finite,
            {**logs, "gradient_norm": norm},
            tf.concat([outcome.stand_ins for outcome in outcomes], 0),
            outcomes,
        )

    def settle(self, contribution, applied):
        """What the forward passes did to the statistics, if the step was applied."""
        for replica, outcome in zip(self._replicas, contribution.outcomes):
            replica.settle(outcome, applied)

    def _seed(self, index, number):
        """Of a replica's random numbers in a step: another for each replica."""
        return tf.stack([tf.constant(self.workload.seed + index, tf.int32), number])

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
        for index, variable in enumerate(self.workload.master.variables):
            parts = [outcome.gradients[index] for outcome in outcomes]
            if parts[0] is None:
                means.append(None)
                continue
            with tf.device(variable.device):
                means.append(tf.add_n([w * part for w, part in zip(weights, parts)]))
        return means


def _make_replicas(workload, devices):
    if not devices:
        return [Master(workload)]
    count = len(devices)
    return [
        LocalCopy(workload, device, index, count)
        for index, device in enumerate(devices)
    ]


def _next(replica, iterator):
    with tf.device(host_of(replica.device)):
        return next(iterator)


def host_of(device):
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
