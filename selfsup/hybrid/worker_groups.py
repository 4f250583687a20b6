"""The workers of a task as groups of their own, which do not wait for each other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from selfsup.hybrid.assignment import even_share
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import RMSProp, RMSPropConfig
from selfsup.hybrid.step_counts import Counters, Updates
from selfsup.hybrid.workload import Workload

# Keys of `Counters` that add up over the workers.
_SUMMED: tuple[Literal["steps", "examples", "skipped", "stand_ins"], ...] = (
    "steps",
    "examples",
    "skipped",
    "stand_ins",
)


class WorkerGroups:
    """Purely asynchronous training (paper section 4) of one task; a `TaskProgress`.

    Each worker takes batches of its own, like a replica of a group, and its gradient is
    applied as soon as it arrives: a step is one such application. The workers share the
    task's RMSProp slots. The counts of the task are the sums of the workers' counts.

    Attributes:
      workload: the task's `Workload`.
      optimizer: the task's `RMSProp`.
      workers: the `Group` of each worker.
    """

    def __init__(
        self,
        workload: Workload,
        rmsprop_config: RMSPropConfig | None,
        devices: Sequence[str],
    ) -> None:
        """Makes a group for each worker.

        Args:
          workload: the task's `Workload`.
          rmsprop_config: constants of RMSProp; the default configuration if None.
          devices: names of the workers' devices, one or more.
        """
        self.workload = workload
        self.optimizer = RMSProp(workload.master.variables, rmsprop_config)
        count = len(devices)
        self.workers = [
            Group(
                _worker_part(workload, index, count),
                devices=[device],
                name=_name(workload.name, index, count),
                optimizer=self.optimizer,
            )
            for index, device in enumerate(devices)
        ]

    @property
    def steps(self) -> int:
        """Number of steps of all workers."""
        return sum(worker.steps for worker in self.workers)

    @property
    def examples(self) -> int:
        """Number of examples that the steps have taken."""
        return sum(worker.examples for worker in self.workers)

    @property
    def skipped(self) -> int:
        """Number of skipped steps of all workers."""
        return sum(worker.skipped for worker in self.workers)

    @property
    def num_replacements(self) -> int:
        """Number of replacement examples of all workers."""
        return sum(worker.num_replacements for worker in self.workers)

    @property
    def damaged_shards(self) -> set[int]:
        """Indices of the damaged shards that any worker has met."""
        return set().union(*(worker.damaged_shards for worker in self.workers))

    @property
    def replicas(self) -> int:
        """1, because each worker takes its steps without the others."""
        return 1

    @property
    def examples_per_step(self) -> float:
        """Mean over the workers of the number of examples per step."""
        examples = sum(worker.examples_per_step for worker in self.workers)
        return examples / len(self.workers)

    def last_updates(self) -> Updates:
        """See `TaskProgress`; from any worker, because they share the slots of RMSProp."""
        return self.workers[0].last_updates()

    def counters(self) -> Counters:
        """See `TaskProgress`; includes the counters of each worker."""
        workers = [worker.counters() for worker in self.workers]
        counters = Counters()
        for name in _SUMMED:
            counters[name] = sum(each[name] for each in workers)
        counters["workers"] = workers
        return counters

    def restore(self, counters: Counters) -> None:
        """See `TaskProgress`; shares the sums out if the number of workers has changed."""
        parts = counters["workers"]
        count = len(self.workers)
        if len(parts) != count:
            parts = [_counters_part(counters, index, count) for index in range(count)]
        for worker, part in zip(self.workers, parts):
            worker.restore(part)


def _counters_part(counters: Counters, index: int, count: int) -> Counters:
    part = Counters()
    for name in _SUMMED:
        if name in counters:
            part[name] = even_share(counters[name], index, count)
    return part


def _worker_part(workload: Workload, index: int, count: int) -> Workload:
    """Returns the `Workload` of worker `index` of `count`, as a group of its own."""
    make_replica = workload.make_replica
    if make_replica is None:
        raise ValueError(f"{workload.name}: this task trains without replicas")
    rate = workload.learning_rate
    if callable(rate):
        # A worker counts its own examples only; the others take about as many each.
        rate = functools.partial(_rate_of_all, workload, count)
    return dataclasses.replace(
        workload,
        learning_rate=rate,
        # The seed that the replica of this index would have in a group.
        seed=workload.seed + index,
        make_replica=lambda _index, _count: make_replica(index, count),
    )


def _rate_of_all(workload: Workload, count: int, examples: tf.Tensor) -> tf.Tensor:
    return workload.rate(examples * count)


def _name(task: str, index: int, count: int) -> str:
    return task if count == 1 else f"{task}, worker {index + 1} of {count}"
