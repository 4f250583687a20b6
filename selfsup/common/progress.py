"""Progress of long work: a bar on a terminal, occasional plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS = 5.0


class ProgressBar:
    """Context manager that shows count, total, rate and remaining time on stderr.

    Example:
      with ProgressBar("photos", total=100) as progress:
          progress.update(1)
    """

    def __init__(
        self,
        unit: str,
        total: int | None,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
        stream: TextIO | None = None,
    ) -> None:
        """Prepares the display.

        Args:
          unit: plural noun for what is counted, such as "photos".
          total: number of units, or None where it is unknown.
          done: number of units that an earlier run finished; they do not count in the
            rate.
          clock: returns seconds; tests replace it.
          stream: text stream, or None for `sys.stderr`.
        """
        self._unit = unit
        self._total = total
        self._before = self._done = done
        self._clock = clock
        self._stream = sys.stderr if stream is None else stream
        # The rate counts from the first update, without the time that workers start in.
        self._start: float | None = None
        self._last_line = clock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        if self._stream.isatty():
            self._start_bar()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif error_type is None and self._total is not None:
            self._print_line()

    def update(self, done: int) -> None:
        """Sets the number of finished units, those of earlier runs included."""
        self._done = done
        if self._start is None:
            self._start, self._before = self._clock(), done
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, rate=f"{self.rate():.1f}")
        elif self._clock() - self._last_line >= _LINE_SECONDS:
            self._print_line()

    def rate(self) -> float:
        """Returns the units per second of this run."""
        if self._start is None:
            return 0.0
        seconds = self._clock() - self._start
        return (self._done - self._before) / seconds if seconds > 0 else 0.0

    def _start_bar(self) -> None:
        from rich import console, progress

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}/s"),
            progress.TimeRemainingColumn(),
            console=console.Console(file=self._stream),
        )
        self._task = self._bar.add_task(
            self._unit, total=self._total, completed=self._done, rate="0.0"
        )
        self._bar.start()

    def _print_line(self) -> None:
        self._last_line = self._clock()
        rate = self.rate()
        if self._total is None:
            text = f"{self._done}, {rate:.1f}/s"
        else:
            remaining = (self._total - self._done) / rate if rate else None
            text = f"{self._done}/{self._total}, {rate:.1f}/s, " + (
                "starting" if remaining is None else f"{remaining:.0f} s left"
            )
        print(f"{self._unit}: {text}", file=self._stream, flush=True)
