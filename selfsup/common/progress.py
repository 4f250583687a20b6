"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time

_LINE_SECONDS = 5.0


class ProgressBar:
    """Shows done/total, rate and time left on stderr; a context manager.

    Example:
      with ProgressBar("photos", total=100) as progress:
          progress.update(1)
    """

    def __init__(self, unit, total, done=0, clock=time.monotonic, stream=None):
        """Starts the display.

        Args:
          unit: plural noun for what is counted.
          total: how many there are; None where it is not known.
          done: how many were done before this run; they do not count in the rate.
          clock: seconds, for tests.
          stream: text stream, `sys.stderr` when None.
        """
        self._unit = unit
        self._total = total
        self._before = self._done = done
        self._clock = clock
        self._stream = sys.stderr if stream is None else stream
        # The rate counts from the first update on, not while workers start.
        self._start = None
        self._last_line = clock()
        self._bar = self._task = None

    def __enter__(self):
        if self._stream.isatty():
            self._start_bar()
        return self

    def __exit__(self, *exc_info):
        if self._bar is not None:
            self._bar.stop()
        elif exc_info[0] is None and self._total is not None:
            self._print_line()

    def update(self, done):
        """Says that `done` in all are done now."""
        self._done = done
        if self._start is None:
            self._start, self._before = self._clock(), done
        if self._bar is not None:
            self._bar.update(self._task, completed=done, rate=f"{self.rate():.1f}")
        elif self._clock() - self._last_line >= _LINE_SECONDS:
            self._print_line()

    def rate(self):
        """Units a second in this run."""
        if self._start is None:
            return 0.0
        seconds = self._clock() - self._start
        return (self._done - self._before) / seconds if seconds > 0 else 0.0

    def _start_bar(self):
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

    def _print_line(self):
        self._last_line = self._clock()
        rate = self.rate()
        if self._total is None:
            text = f"{self._done}, {rate:.1f}/s"
        else:
            left = (self._total - self._done) / rate if rate else None
            text = f"{self._done}/{self._total}, {rate:.1f}/s, " + (
                "starting" if left is None else f"{left:.0f} s left"
            )
        print(f"{self._unit}: {text}", file=self._stream, flush=True)
