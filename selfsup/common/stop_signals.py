"""Stops a training loop between two steps when SIGINT or SIGTERM arrives."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType


class StopSignals:
    """Context manager that records the first SIGINT or SIGTERM instead of obeying it.

    A second signal has its usual effect, because the loop may hang in an operation.

    Attributes:
      received: name of the signal, such as "SIGTERM", or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._record)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore_handlers()

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._restore_handlers()
        text = f"\n{self.received}: stopping after this step, with a checkpoint ...\n"
        # Not `print`: the signal may interrupt a `print` that holds the stream's lock.
        os.write(sys.stderr.fileno(), text.encode())

    def _restore_handlers(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
