"""The training loop on one device: groups take turns, checkpoints fall between steps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Callable, Protocol

from selfsup.common.errors import UserError
from selfsup.hybrid import turns
from selfsup.hybrid.checkpoint import CheckpointStore, State, Trackable
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.step import StepResult
from selfsup.hybrid.step_counts import TaskProgress
from selfsup.hybrid.stepper import Stepper

# Called after each step with (task, logs, seconds of the step).
AfterStep = Callable[[str, dict[str, float], float], None]


class StopRequest(Protocol):
    """Tells a loop when to stop, such as `StopSignals`."""

    @property
    def received(self) -> str | None:
        """What asks to stop, such as "SIGTERM"; None while nothing does."""


class Engine:
    """Runs groups in proportion to their weights, reproducibly.

    Attributes:
      groups: the progress of each task, by name.
      clock: the `CostClock`.
      pause_seconds: how long checkpoints have kept the groups from stepping.
      takes_turns: whether only one group steps at a time.
    """

    takes_turns = True

    def __init__(
        self,
        groups: Mapping[str, TaskProgress],
        weights: Mapping[str, float],
        limits: Mapping[str, int],
        clock: CostClock,
        store: CheckpointStore,
        trackable: Trackable,
        *,
        steppers: Iterable[Stepper],
    ) -> None:
        """Makes the engine.

        Args:
          groups: the progress of each task, by name.
          weights: positive weights in proportion to which the tasks step, by name.
          limits: number of steps at which each task is finished, by name.
          clock: measures the cost of training.
          store: stores the checkpoints.
          trackable: has all variables that a checkpoint has to contain.
          steppers: take the steps of the groups. In this engine, each has the name of
            its only task.
        """
        self.groups = groups
        self.clock = clock
        self.pause_seconds = 0.0
        self._weights = weights
        self._limits = dict(limits)
        self._store = store
        self._trackable = trackable
        self._steppers = {stepper.name: stepper for stepper in steppers}
        self._snapshots = 0

    def steps(self) -> dict[str, int]:
        """Returns the number of steps taken, by task."""
        return {name: group.steps for name, group in self.groups.items()}

    def total_steps(self) -> int:
        """Returns the number of steps of all tasks, after which checkpoints are named."""
        return sum(self.steps().values())

    def finish_task(self, name: str) -> None:
        """Lets a task take no more steps; a step under way is still counted."""
        self._limits[name] = min(self._limits[name], self.groups[name].steps)

    def resume(self) -> str | None:
        """Restores the newest checkpoint.

        Returns:
          its name, or None if no checkpoint exists.

        Raises:
          UserError: if the checkpoint is damaged, or of other tasks.
        """
        self._store.remove_partial()
        name = self._store.latest()
        if name is None:
            return None
        tasks = list(self._store.read_state(name)["groups"])
        if set(tasks) != set(self.groups):
            raise UserError(
                f"{self._store.path(name)}: the tasks of this checkpoint are "
                f"{', '.join(tasks)}, those of this run are {', '.join(self.groups)}"
            )
        state = self._store.restore(name, self._trackable)
        for task, counters in state["groups"].items():
            self.groups[task].restore(counters)
        self.clock.step_costs.update(state["step_costs"])
        self._snapshots = self.clock.snapshots(self._batches())
        return name

    def run(
        self,
        stop: StopRequest,
        checkpoint_seconds: float,
        after_step: AfterStep,
        before_checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        """Trains until all tasks are at their limits, or the cost clock ends, or `stop`.

        Writes checkpoints every `checkpoint_seconds` and at the end, and snapshots at
        each multiple of the cost clock's threshold.

        Args:
          stop: asks to stop before the next step.
          checkpoint_seconds: maximum seconds of work that a crash may destroy.
          after_step: called after each step of each task.
          before_checkpoint: called before a checkpoint is written.

        Raises:
          UserError: if gradients stay non-finite, or a checkpoint cannot be written.
        """

        def save(name: str) -> None:
            before_checkpoint()
            start = time.monotonic()
            self._store.save(name, self._trackable, self._state())
            self.pause_seconds += time.monotonic() - start

        saved_at, saved_steps = time.monotonic(), self.total_steps()
        while stop.received is None:
            name = turns.next_group(self.steps(), self._weights, self._limits)
            if name is None or self.clock.ended(self._batches()):
                break
            result = self._steppers[name].advance()
            if result is not None:
                self._report(result, after_step)
            self._snapshot(save)
            if time.monotonic() - saved_at >= checkpoint_seconds:
                save(self._checkpoint_name())
                saved_at, saved_steps = time.monotonic(), self.total_steps()
        self._save_end(save, saved_steps)

    def _batches(self) -> dict[str, float]:
        """Returns the number of batches of all replicas, by task; they determine costs."""
        return {
            name: group.examples / group.workload.batch_size
            for name, group in self.groups.items()
        }

    def _report(self, result: StepResult, after_step: AfterStep) -> None:
        """Reports a step to the cost clock and to `after_step`.

        The cost of a batch is the time of all replicas over the number of their batches.
        """
        for task, logs in result.logs.items():
            group = self.groups[task]
            batches = group.examples_per_step / group.workload.batch_size
            self.clock.observe(task, result.seconds * group.replicas / batches)
            after_step(task, logs, result.seconds)

    def _snapshot(self, save: Callable[[str], None]) -> None:
        """Saves a snapshot if the cost has crossed the threshold since the last."""
        crossed = self.clock.snapshots(self._batches())
        if crossed > self._snapshots:
            self._snapshots = crossed
            save(f"snapshot-{crossed:03d}")

    def _save_end(self, save: Callable[[str], None], saved_steps: int) -> None:
        """Saves a checkpoint unless the last checkpoint has the same number of steps."""
        if self.total_steps() != saved_steps or self._store.latest() is None:
            save(self._checkpoint_name())

    def _checkpoint_name(self) -> str:
        return f"checkpoint-{self.total_steps():09d}"

    def _state(self) -> State:
        """Returns the JSON object that a checkpoint stores besides the variables."""
        groups = {name: group.counters() for name, group in self.groups.items()}
        return {
            "groups": groups,
            "total_steps": self.total_steps(),
            "cost": self.clock.cost(self._batches()),
            "step_costs": self.clock.step_costs,
        }
