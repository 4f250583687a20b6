"""Trains on copies of the network, one on each device of a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

from selfsup.hybrid.device_copy import DeviceCopy
from selfsup.hybrid.exchange import Exchange
from selfsup.hybrid.placement import host_of
from selfsup.hybrid.replica_set import Contribution, Times, global_norm
from selfsup.hybrid.workload import Batch, Workload


class DeviceReplicas:
    """Replicas of one task on fixed devices; a `ReplicaSet`.

    Attributes:
      workload: the task's `Workload`.
      devices: names of the devices.
      replicas: number of replicas.
      examples: number of examples in a step of all replicas together.
    """

    def __init__(self, workload: Workload, devices: Sequence[str]) -> None:
        self.workload = workload
        self.devices = tuple(devices)
        self._copies = [
            DeviceCopy(workload, device, index, len(devices))
            for index, device in enumerate(devices)
        ]
        self.replicas = len(self._copies)
        sizes = [copy.replica.batch_size for copy in self._copies]
        self.examples = sum(sizes)
        self._shares = [size / self.examples for size in sizes]
        hosts = workload.transfer.hosts(self.devices)
        dtype = tf.as_dtype(workload.transfer.dtype)
        master = workload.master
        self._values = Exchange(master.variables, self.devices, hosts, dtype)
        self._statistics = Exchange(master.statistics, self.devices, hosts, tf.float32)

    def open_input(self, step: int) -> list[Iterator[Batch]]:
        """See `ReplicaSet`."""
        return [_open_input(copy, step) for copy in self._copies]

    def contribute(
        self, iterators: Sequence[Iterator[Batch]], step: tf.Tensor, timed: bool
    ) -> Contribution:
        """See `ReplicaSet`."""
        values, statistics = self._values.pull(), self._statistics.pull()
        contributions, input_times = [], []
        for index, copy in enumerate(self._copies):
            batch, times = _next_batch(copy.device, iterators[index], timed)
            seed = self.workload.step_seed(index, step)
            contributions.append(
                copy.contribute(
                    batch,
                    seed,
                    values[index],
                    statistics[index],
                    self._shares[index],
                    timed,
                )
            )
            input_times.append(times)
        return self._combine(contributions, input_times, timed)

    def _combine(
        self,
        contributions: Sequence[Contribution],
        input_times: Sequence[Times],
        timed: bool,
    ) -> Contribution:
        """Sums gradients and changes of statistics where their masters are."""
        gradients, arrivals = self._values.push(
            [contribution.gradients for contribution in contributions], timed
        )
        changes, _ = self._statistics.push(
            [contribution.statistics for contribution in contributions]
        )
        times: list[Times] = [
            {**fetched, **contribution.times[0], "arrived": arrived} if timed else {}
            for fetched, contribution, arrived in zip(
                input_times, contributions, arrivals
            )
        ]
        norm = global_norm(gradients)
        finite = tf.math.is_finite(norm)
        for contribution in contributions:
            finite &= contribution.finite
        logs = self._mean([contribution.logs for contribution in contributions])
        replaced_shards = [
            contribution.replaced_shards for contribution in contributions
        ]
        return Contribution(
            gradients,
            finite,
            {**logs, "gradient_norm": norm},
            changes,
            tf.concat(replaced_shards, 0),
            times,
        )

    def settle(self, contribution: Contribution, applied: tf.Tensor) -> None:
        """See `ReplicaSet`: adds the changes of the statistics if the step is applied."""
        masters = self.workload.master.statistics
        for variable, change in zip(masters, contribution.statistics):
            with tf.device(variable.device):
                variable.assign_add(tf.where(applied, change, tf.zeros_like(change)))

    def _mean(self, logs: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        """Returns the mean of the replicas' scalars, weighted by their shares."""
        if len(logs) == 1:
            return logs[0]
        return {
            key: tf.add_n(
                [share * scalars[key] for share, scalars in zip(self._shares, logs)]
            )
            for key in logs[0]
        }


def _open_input(copy: DeviceCopy, step: int) -> Iterator[Batch]:
    with tf.device(host_of(copy.device)):
        return iter(copy.replica.batches(step * copy.replica.batch_size))


def _next_batch(
    device: str, iterator: Iterator[Batch], timed: bool
) -> tuple[Batch, Times]:
    """Returns the next batch of a device's replica.

    And, if `timed`, the times when the step began on the device's machine ("began") and
    when it had the batch ("fetched").
    """
    times: Times = {}
    with tf.device(host_of(device)):
        if timed:
            times["began"] = tf.timestamp()
        batch = next(iterator)
        if timed:
            with tf.control_dependencies(tf.nest.flatten(batch)):
                times["fetched"] = tf.timestamp()
    return batch, times
