"""A task's workers as groups of their own: none waits for another."""

import dataclasses
import functools

from selfsup.hybrid.assignment import even_share
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import RMSProp

_SUMMED = ("steps", "examples", "skipped", "stand_ins")


class WorkerGroups:
    """Purely asynchronous training (paper section 4) of one task.

    Each worker takes a batch of its own, as in a group, and its gradient is applied
    as soon as it is there: a step is one such application. The workers share the task's
    RMSProp slots. Their counts added up are the task's, so this stands for the task
    wherever a `Group` does.

    Attributes:
      workload: the task's `Workload`.
      optimizer: the task's `RMSProp`.
      workers: the `Group` of each worker.
    """

    def __init__(self, workload, rmsprop_config, devices):
        """
        Args:
          workload: a `Workload`.
          rmsprop_config: an `RMSPropConfig`.
          devices: names of the workers' devices, one or more.
        """
        self.workload = workload
        self.optimizer = RMSProp(workload.master.variables, rmsprop_config)
        count = len(devices)
        self.workers = [
            Group(
                part_of(workload, index, count),
                devices=[device],
                name=_name(workload.name, index, count),
                optimizer=self.optimizer,
            )
            for index, device in enumerate(devices)
        ]

    @property
    def steps(self):
        return self._sum("steps")

    @property
    def skipped(self):
        return self._sum("skipped")

    @property
    def replacements(self):
        return self._sum("replacements")

    @property
    def damaged_shards(self):
        return set().union(*(worker.damaged_shards for worker in self.workers))

    @property
    def examples(self):
        """Examples that the steps have taken."""
        return self._sum("examples")

    @property
    def replicas(self) -> int:
        """A step is of one worker."""
        return 1

    @property
    def examples_per_step(self) -> float:
        """The mean over the workers."""
        return self._sum("examples_per_step") / len(self.workers)

    def last_updates(self):
        """As `Group.last_updates`, of the worker that stepped last."""
        return self.workers[0].last_updates()

    def counters(self):
        """As `StepCounts.counters`, with those of each worker."""
        workers = [worker.counters() for worker in self.workers]
        sums = {name: sum(one[name] for one in workers) for name in _SUMMED}
        return {**sums, "workers": workers}

    def restore(self, counters):
        """Goes back to `counters`; with another number of workers, shares them out."""
        parts = counters["workers"]
        count = len(self.workers)
        if len(parts) != count:
            parts = [
                {
                    name: even_share(counters[name], index, count)
                    for name in _SUMMED
                    if name in counters
                }
                for index in range(count)
            ]
        for worker, part in zip(self.workers, parts):
            worker.restore(part)

    def _sum(self, name):
        return sum(getattr(worker, name) for worker in self.workers)


def part_of(workload, index, count):
    """The `Workload` of worker `index` of `count`, a group of its own."""
    rate = workload.learning_rate
    if workload.has_schedule:
        # It knows of its own examples only; the others take about as many.
        rate = functools.partial(_rate_of_all, workload, count)
    return dataclasses.replace(
        workload,
        learning_rate=rate,
        # As of the replica of that number in a group.
        seed=workload.seed + index,
        make_replica=lambda _index, _count: workload.make_replica(index, count),
    )


def _rate_of_all(workload, count, examples):
    return workload.rate(examples * count)


def _name(task, index, count):
    return task if count == 1 else f"{task}, worker {index + 1} of {count}"
