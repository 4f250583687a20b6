"""Starts processes, streams what they say with a prefix, and ends them all."""

import ctypes
import os
import signal
import subprocess
import sys
import threading

_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Process:
    """A process whose lines go to our stdout, each with its name before it.

    On Linux it is killed when this process dies, however that happens.
    """

    def __init__(self, name, command, environment):
        self.name = name
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C is the launcher's to pass on: the chief still needs the servers.
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self._stream = threading.Thread(target=self._forward, daemon=True)
        self._stream.start()

    @property
    def pid(self):
        return self._process.pid

    def poll(self):
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def has_ended(self):
        return self.poll() is not None

    def send(self, number):
        """Sends a signal, if it still runs."""
        self._process.send_signal(number)

    def end(self, seconds=5.0):
        """Asks it to end; kills it when it does not within `seconds`."""
        self.send(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.finish_output()

    def finish_output(self):
        """Waits for the last lines of a process that has ended."""
        self._stream.join(5.0)

    def _forward(self):
        for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            # One write a line: several threads write.
            sys.stdout.write(f"[{self.name}] {text}\n")
            sys.stdout.flush()


def _die_with_parent():
    """What a new process runs first, or None where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return None
    # Found before the fork: little may be done after it.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def die_with_parent():
        prctl(_DIES_WITH_PARENT, signal.SIGKILL)
        # The parent may have died before.
        if os.getppid() != parent:
            os._exit(1)

    return die_with_parent
