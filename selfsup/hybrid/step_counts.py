"""Counts the steps, examples and skipped steps of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypedDict

import numpy as np
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.hybrid.replica_set import ReplicaSet
from selfsup.hybrid.step import StepResult
from selfsup.hybrid.workload import Workload

if TYPE_CHECKING:
    from selfsup.hybrid.stepper import Stepper

# Pairs of a variable and what the last applied step subtracted from it.
Updates = list[tuple[tf.Variable, tf.Variable]]


class Counters(TypedDict, total=False):
    """The counters of a task as a checkpoint stores them.

    Attributes:
      steps, examples, skipped: see `TaskProgress`.
      stand_ins: `TaskProgress.num_replacements`.
      workers: counters of each worker, of an asynchronous run.
    """

    steps: int
    examples: int
    skipped: int
    stand_ins: int
    workers: list[Counters]


class TaskProgress(Protocol):
    """The progress of the training of one task.

    `StepCounts` is that of a task with one stepper, `WorkerGroups` with a stepper for each
    worker.
    """

    @property
    def workload(self) -> Workload:
        """The task's `Workload`."""

    @property
    def steps(self) -> int:
        """Number of steps taken, skipped steps included."""

    @property
    def examples(self) -> int:
        """Number of examples that the steps have taken, over all replicas."""

    @property
    def skipped(self) -> int:
        """Number of steps with non-finite gradients, which changed no variable."""

    @property
    def num_replacements(self) -> int:
        """Number of replacement examples among the examples."""

    @property
    def damaged_shards(self) -> set[int]:
        """Indices of the damaged shards that were met since the process started."""

    @property
    def replicas(self) -> int:
        """Number of replicas that currently take a step together."""

    @property
    def examples_per_step(self) -> float:
        """Number of examples in a step of the current replicas together."""

    def counters(self) -> Counters:
        """Returns what a checkpoint has to store besides the variables."""

    def restore(self, counters: Counters) -> None:
        """Continues from stored counters, with the input from that position on."""

    def last_updates(self) -> Updates:
        """Returns what the last applied step subtracted from the master variables.

        That is the momentum of RMSProp, so nothing has to be stored or compared.

        Returns:
          pairs of a variable and its momentum, which is zero before the first step.
        """


class StepCounts:
    """The `TaskProgress` of a task whose steps are taken by one `Stepper`.

    Attributes:
      workload: the task's `Workload`.
      steps: number of steps taken, skipped steps included; also the input position.
      examples: number of examples that the steps have taken, over all replicas.
      skipped: number of steps with non-finite gradients, which changed no variable.
      num_replacements: number of replacement examples among the examples.
      damaged_shards: indices of the damaged shards that were met since the process
        started.
    """

    # More non-finite steps in a row than one bad batch explains.
    MAX_SKIPPED_IN_A_ROW = 20

    def __init__(self, workload: Workload, stepper: Stepper) -> None:
        self.workload = workload
        self.steps = 0
        self.examples = 0
        self.skipped = 0
        self.num_replacements = 0
        self.damaged_shards: set[int] = set()
        self._stepper = stepper
        self._skipped_in_a_row = 0

    @property
    def replicas(self) -> int:
        """See `TaskProgress`."""
        return self._replica_set.replicas

    @property
    def examples_per_step(self) -> int:
        """See `TaskProgress`."""
        return self._replica_set.examples

    @property
    def _replica_set(self) -> ReplicaSet:
        return self._stepper.replica_set(self.workload.name)

    def counters(self) -> Counters:
        """See `TaskProgress`."""
        return {
            "steps": self.steps,
            "examples": self.examples,
            "skipped": self.skipped,
            "stand_ins": self.num_replacements,
        }

    def restore(self, counters: Counters) -> None:
        """See `TaskProgress`."""
        self.steps = counters["steps"]
        # Version 0.1.0 did not store examples: its replicas shared one batch.
        before = self.steps * self.workload.batch_size
        self.examples = counters.get("examples", before)
        self.skipped = counters["skipped"]
        # Version 0.1.0 did not store them.
        self.num_replacements = counters.get("stand_ins", 0)
        self._stepper.restart(self.steps)

    def last_updates(self) -> Updates:
        """See `TaskProgress`."""
        return self._stepper.task_updates(self.workload.name)

    def count(self, result: StepResult) -> None:
        """Counts a step from its result.

        Raises:
          UserError: if `MAX_SKIPPED_IN_A_ROW` steps in a row were skipped.
        """
        shards = result.replaced_shards[self.workload.name]
        damaged = shards[shards >= 0]
        before = self.examples
        self.steps += 1
        self.examples += len(shards)
        self.num_replacements += len(damaged)
        self.damaged_shards.update(np.unique(damaged).tolist())
        if result.finite:
            self._skipped_in_a_row = 0
            return
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.MAX_SKIPPED_IN_A_ROW:
            loss = result.logs[self.workload.name].get("loss")
            rate = float(self.workload.rate(before))
            raise UserError(
                f"{self.workload.name}: gradients were not finite in "
                f"{self._skipped_in_a_row} steps in a row, the last at step "
                f"{self.steps} with loss {loss}. None of these steps was applied. "
                f"Try a lower learning rate (now {rate:g})"
            )

    def count_unreported(self, steps: int) -> None:
        """Counts the steps up to `steps`, whose results were never received."""
        self.examples += (steps - self.steps) * self.examples_per_step
        self.steps = steps
