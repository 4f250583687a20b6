"""Progress of a pretraining run: a live table on a terminal, plain lines elsewhere."""

import datetime
import sys
import time

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

PLAIN_SECONDS = 15.0


class TaskProgress:
    """What is shown of one task."""

    def __init__(self, spec, limit, images_per_step, steps):
        self.spec = spec
        self.limit = limit
        self.images_per_step = images_per_step
        self.steps = steps
        self.skipped = 0
        self.loss = None
        self.metric = None
        self.chance = None
        self._step_seconds = None

    def update(self, steps, skipped, logs, seconds):
        """Takes in one step; numbers are exponential averages over about 20 steps."""
        self.steps, self.skipped = steps, skipped
        self._average_in(logs)
        if self._step_seconds is None:
            # The first step traces the graph and says nothing of the speed.
            self._step_seconds = 0.0
        elif self._step_seconds == 0.0:
            self._step_seconds = seconds
        else:
            self._step_seconds = _average(self._step_seconds, seconds)

    def _average_in(self, logs):
        chance = f"chance/{self.spec.name}"
        values = [logs[key] for key in ("loss", self.spec.name, chance)]
        # A step that was skipped as not finite would stay in the averages for ever.
        if np.all(np.isfinite(values)):
            self.loss = _average(self.loss, values[0])
            self.metric = _average(self.metric, values[1])
            self.chance = _average(self.chance, values[2])

    @property
    def images_per_second(self):
        """Images that the task's step reads a second of its own time, or None."""
        return self.images_per_step / self._step_seconds if self._step_seconds else None

    @property
    def seconds_left(self):
        """Seconds of this task's steps that are still to come, or None."""
        if not self._step_seconds:
            return None
        return max(0, self.limit - self.steps) * self._step_seconds

    def cells(self):
        """Texts: steps, loss, metric against chance, images a second, skipped."""
        steps = f"{self.steps}/{self.limit}"
        if self.loss is None:
            return steps, "-", "-", "-", "0"
        metric = f"{self.spec.name} {self.metric:.3f} (chance {self.chance:.3f})"
        rate = self.images_per_second
        return (
            steps,
            f"{self.loss:.4f}",
            metric,
            f"{rate:.1f}" if rate else "-",
            str(self.skipped),
        )


def _average(old, new, momentum=0.95):
    return new if old is None else momentum * old + (1 - momentum) * new


class ProgressDisplay:
    """Shows `TaskProgress` by task; a context manager."""

    def __init__(self, tasks, takes_turns=True, stream=None, at_most=False):
        """
        Args:
          tasks: dict of `TaskProgress` by task name.
          takes_turns: whether one task steps at a time; else all go on side by side.
          stream: where to; stdout by default.
          at_most: whether the run may end before the tasks' limits.
        """
        self.tasks = tasks
        self._takes_turns = takes_turns
        self._at_most = at_most
        self._updated_at = {}
        self._console = Console(file=stream or sys.stdout)
        self._live = None
        self._shown_at = time.monotonic()
        self._news = False

    def __enter__(self):
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, refresh_per_second=2, get_renderable=self._table
            )
            self._live.__enter__()
        return self

    def __exit__(self, *error):
        if self._live:
            self._live.__exit__(*error)
        elif error[0] is None and self._news:
            self._lines()

    def update(self, name, steps, skipped, logs, seconds):
        """Takes in one step of task `name` and shows it when it is time to."""
        now = time.monotonic()
        if not self._takes_turns:
            # Replicas may step side by side, and machines stand still: what one step
            # takes says little of how often they come.
            seconds = now - self._updated_at.get(name, now)
            self._updated_at[name] = now
        self.tasks[name].update(steps, skipped, logs, seconds)
        self._news = True
        if self._live is None and now - self._shown_at >= PLAIN_SECONDS:
            self._shown_at = now
            self._lines()

    def say(self, text):
        """Prints a line above the table."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def time_left(self):
        """Time left until the last task is done, as text."""
        parts = [task.seconds_left for task in self.tasks.values()]
        if any(part is None for part in parts):
            return "unknown"
        left = sum(parts) if self._takes_turns else max(parts)
        text = str(datetime.timedelta(seconds=round(left)))
        return f"at most {text}" if self._at_most else text

    def _lines(self):
        self._news = False
        for name, task in self.tasks.items():
            steps, loss, metric, rate, skipped = task.cells()
            more = f"  skipped {skipped}" if task.skipped else ""
            self.say(
                f"{name:20s} step {steps:>13s}  loss {loss}  {metric}  "
                f"{rate} images/s{more}"
            )
        self.say(f"{'time left':20s} {self.time_left()}")

    def _table(self):
        table = Table(
            "task", caption=f"time left {self.time_left()}", title="Pretraining"
        )
        for column in ("steps", "loss", "metric", "images/s", "skipped"):
            table.add_column(column, justify="right")
        for name, task in self.tasks.items():
            table.add_row(name, *task.cells())
        return table
