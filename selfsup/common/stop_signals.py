"""Stopping on request: SIGINT and SIGTERM ask, the loop stops between steps."""

import os
import signal
import sys


class StopSignals:
    """A context in which the first SIGINT or SIGTERM is noted rather than obeyed.

    A second one has its usual effect: what is being waited for may hang.

    Attributes:
      received: name of the signal, such as "SIGTERM", or None.
    """

    def __init__(self):
        self.received = None
        self._previous = {}

    def __enter__(self):
        for which in (signal.SIGINT, signal.SIGTERM):
            self._previous[which] = signal.signal(which, self._note)
        return self

    def __exit__(self, *_):
        self._put_back()

    def _note(self, number, _):
        self.received = signal.Signals(number).name
        self._put_back()
        text = f"\n{self.received}: stopping after this step, with a checkpoint ...\n"
        # Not print: the signal may have come in the middle of one.
        os.write(sys.stderr.fileno(), text.encode())

    def _put_back(self):
        for which, handler in self._previous.items():
            signal.signal(which, handler)
