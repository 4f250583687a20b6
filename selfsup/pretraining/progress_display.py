"""Progress of a pretraining run: a live table on a terminal, otherwise plain lines."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from selfsup.tasks.task import Metric

# Seconds between two reports in plain lines.
PLAIN_SECONDS = 15.0


class TaskStatus:
    """What is displayed about one task, as numbers and as texts.

    Attributes:
      metric: the metric to display.
      limit: number of steps at which the task ends.
      images_per_step: images that a step reads.
      steps: steps taken.
      skipped: steps skipped because gradients were not finite.
      loss: average of the loss over about 20 steps; None before the first step.
      value: average of the metric over about 20 steps; None before the first step.
      chance: average of the metric's chance level; None before the first step.
    """

    def __init__(
        self, metric: Metric, limit: int, images_per_step: float, steps: int
    ) -> None:
        self.metric = metric
        self.limit = limit
        self.images_per_step = images_per_step
        self.steps = steps
        self.skipped = 0
        self.loss: float | None = None
        self.value: float | None = None
        self.chance: float | None = None
        self._step_seconds: float | None = None

    def update(
        self, steps: int, skipped: int, logs: Mapping[str, float], seconds: float
    ) -> None:
        """Records a step.

        Args:
          steps: steps taken, including this one.
          skipped: steps skipped so far.
          logs: scalars of the step: "loss", the metric, and "chance/METRIC".
          seconds: duration of the step.
        """
        self.steps, self.skipped = steps, skipped
        self._average_in(logs)
        if self._step_seconds is None:
            # The first step traces the graph, so its duration says nothing of the speed.
            self._step_seconds = 0.0
        elif self._step_seconds == 0.0:
            self._step_seconds = seconds
        else:
            self._step_seconds = _average(self._step_seconds, seconds)

    def _average_in(self, logs: Mapping[str, float]) -> None:
        name = self.metric.name
        values = [logs[key] for key in ("loss", name, f"chance/{name}")]
        # Values that are not finite would stay in the averages for ever.
        if np.all(np.isfinite(values)):
            self.loss = _average(self.loss, values[0])
            self.value = _average(self.value, values[1])
            self.chance = _average(self.chance, values[2])

    @property
    def images_per_second(self) -> float | None:
        """Images that a step reads divided by its duration; None if not yet known."""
        return self.images_per_step / self._step_seconds if self._step_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Duration of the steps that this task has still to take; None if unknown."""
        if not self._step_seconds:
            return None
        return max(0, self.limit - self.steps) * self._step_seconds

    def cells(self) -> tuple[str, str, str, str, str]:
        """Returns texts: steps, loss, metric with chance, images per second, skipped."""
        steps = f"{self.steps}/{self.limit}"
        if self.loss is None:
            return steps, "-", "-", "-", "0"
        rate = self.images_per_second
        return (
            steps,
            f"{self.loss:.4f}",
            f"{self.metric.name} {self.value:.3f} (chance {self.chance:.3f})",
            f"{rate:.1f}" if rate else "-",
            str(self.skipped),
        )


def _average(old: float | None, new: float, momentum: float = 0.95) -> float:
    return new if old is None else momentum * old + (1 - momentum) * new


class ProgressDisplay:
    """Displays the progress of all tasks; a context manager.

    Attributes:
      tasks: the progress of each task by name.
    """

    def __init__(
        self,
        tasks: dict[str, TaskStatus],
        takes_turns: bool = True,
        stream: TextIO | None = None,
        at_most: bool = False,
    ) -> None:
        """
        Args:
          tasks: the progress of each task by name.
          takes_turns: whether only one task at a time takes a step; otherwise the tasks
            step in parallel.
          stream: where to print; None for stdout.
          at_most: whether the run may end before the tasks reach their limits.
        """
        self.tasks = tasks
        self._takes_turns = takes_turns
        self._at_most = at_most
        self._updated_at: dict[str, float] = {}
        self._console = Console(file=stream or sys.stdout)
        self._live: Live | None = None
        self._printed_at = time.monotonic()
        self._has_news = False

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, refresh_per_second=2, get_renderable=self._table
            )
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, traceback)
        elif kind is None and self._has_news:
            self._print_lines()

    def update(
        self,
        name: str,
        steps: int,
        skipped: int,
        logs: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Records a step of the task `name`; see `TaskStatus.update`."""
        now = time.monotonic()
        if not self._takes_turns:
            # Steps of several replicas overlap, and machines may stop for a while. The
            # time between steps is the speed, and the duration of a step is not.
            seconds = now - self._updated_at.get(name, now)
            self._updated_at[name] = now
        self.tasks[name].update(steps, skipped, logs, seconds)
        self._has_news = True
        if self._live is None and now - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = now
            self._print_lines()

    def say(self, text: str) -> None:
        """Prints a line; on a terminal, above the table."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def time_left(self) -> str:
        """Returns the time until the last task has ended, as a text."""
        seconds = [task.seconds_left for task in self.tasks.values()]
        known = [each for each in seconds if each is not None]
        if len(known) < len(seconds):
            return "unknown"
        left = sum(known) if self._takes_turns else max(known)
        text = str(datetime.timedelta(seconds=round(left)))
        return f"at most {text}" if self._at_most else text

    def _print_lines(self) -> None:
        self._has_news = False
        for name, task in self.tasks.items():
            steps, loss, metric, rate, skipped = task.cells()
            suffix = f"  skipped {skipped}" if task.skipped else ""
            self.say(
                f"{name:20s} step {steps:>13s}  loss {loss}  {metric}  "
                f"{rate} images/s{suffix}"
            )
        self.say(f"{'time left':20s} {self.time_left()}")

    def _table(self) -> Table:
        table = Table(
            "task", caption=f"time left {self.time_left()}", title="Pretraining"
        )
        for column in ("steps", "loss", "metric", "images/s", "skipped"):
            table.add_column(column, justify="right")
        for name, task in self.tasks.items():
            table.add_row(name, *task.cells())
        return table
