"""Starts processes, prints their output with a prefix, and ends them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Callable

_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Process:
    """A process whose output is printed, each line with the name of the process before.

    On Linux it is killed when this process dies, even if this process is killed.

    Attributes:
      name: name of the process.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Starts a process.

        Args:
          name: name of the process.
          command: path of the program and its arguments.
          environment: all environment variables.
        """
        self.name = name
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C must not reach it directly: the chief still needs the servers.
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self._stream = threading.Thread(target=self._forward, daemon=True)
        self._stream.start()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def poll(self) -> int | None:
        """Returns the exit status, negative after a signal; None while it runs."""
        return self._process.poll()

    def has_ended(self) -> bool:
        """Returns whether the process has ended."""
        return self.poll() is not None

    def send(self, number: int) -> None:
        """Sends a signal if the process still runs."""
        self._process.send_signal(number)

    def end(self, seconds: float = 5.0) -> None:
        """Sends SIGTERM, and kills the process if it still runs after `seconds`."""
        self.send(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.finish_output()

    def finish_output(self) -> None:
        """Waits until the last lines of an ended process are printed."""
        self._stream.join(5.0)

    def _forward(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            # A single write per line, because several threads write.
            sys.stdout.write(f"[{self.name}] {text}\n")
            sys.stdout.flush()


def _die_with_parent() -> Callable[[], None] | None:
    """Returns what a new process calls first; None if the system is not Linux."""
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork, because little is allowed after it.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def die_with_parent() -> None:
        prctl(_DIES_WITH_PARENT, signal.SIGKILL)
        # The parent may have died before.
        if os.getppid() != parent:
            os._exit(1)

    return die_with_parent
