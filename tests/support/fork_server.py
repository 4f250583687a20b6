"""Starts processes quickly: forks them from a process that has imported TensorFlow.

A test of a cluster needs half a dozen processes and restarts some of them. Without the
fork server, each would spend seconds on the import.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

_DIES_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


class ForkServer:
    """Starts processes, and kills them all when it is closed or dies."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        """
        Args:
          prefix: a command that runs the command after it, such as unshare.
        """
        paths = [os.path.dirname(__file__), os.getcwd(), *sys.path]
        variables = {
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONWARNINGS": "ignore",
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONUNBUFFERED": "1",
        }
        self._server = subprocess.Popen(
            [*prefix, sys.executable, "-m", "fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **variables},
        )

    def start(
        self,
        entry: str,
        log: str | os.PathLike[str],
        arguments: Sequence[Any] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Starts a process.

        Args:
          entry: "module:function" to run; its result is the exit status, None for 0.
          log: file to which stdout and stderr are appended.
          arguments: arguments of the function, for JSON.
          environment: more environment variables.
        """
        with open(log, "a", encoding="utf-8"):
            pass
        job = [entry, str(log), list(arguments), dict(environment or {})]
        return Child(self, self._ask("start", job), log)

    def poll(self, pid: int) -> int | None:
        """Returns a child's exit status, negative for a signal; None while it runs."""
        return self._ask("poll", pid)

    def close(self) -> None:
        """Kills the fork server and all of its children."""
        self._server.kill()
        self._server.communicate()

    def _ask(self, request: str, value: Any) -> Any:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps([request, value]) + "\n")
        return json.loads(self._server.stdout.readline())


class Child:
    """A process of a `ForkServer`.

    Attributes:
      pid: its process id.
      log: path of the file with its stdout and stderr.
    """

    def __init__(
        self, fork_server: ForkServer, pid: int, log: str | os.PathLike[str]
    ) -> None:
        self.pid, self.log = pid, log
        self._fork_server = fork_server

    def send(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills the process and waits until it has ended."""
        self.send(signal.SIGKILL)
        self.wait(30)

    def poll(self) -> int | None:
        """Returns the exit status, negative for a signal; None while it runs."""
        return self._fork_server.poll(self.pid)

    def wait(self, seconds: float) -> int | None:
        """Waits for the exit status; fails with the log if the process does not end."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, f"still running; log:\n{self.text()}"
            time.sleep(0.05)
        return self.poll()

    def wait_for(self, text: str, seconds: float, count: int = 1) -> str:
        """Waits until the log contains `text` `count` times; returns the log."""
        end = time.monotonic() + seconds
        while self.text().count(text) < count:
            ended = self.poll()
            assert ended is None or self.text().count(text) >= count, (
                f"ended ({ended}) before {text!r}; log:\n{self.text()}"
            )
            assert time.monotonic() < end, f"no {text!r}; log:\n{self.text()}"
            time.sleep(0.02)
        return self.text()

    def text(self) -> str:
        """Returns the log so far."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


def _serve() -> None:
    """The server process: forks on request. It does not start TensorFlow's runtime."""
    _die_with_parent()
    importlib.import_module("tensorflow")

    ended: dict[int, int] = {}
    for line in sys.stdin:
        request, value = json.loads(line)
        if request == "start":
            answer: int | None = os.fork()
            if not answer:
                _child(*value)
        else:
            answer = ended.get(value)
            if answer is None:
                pid, status = os.waitpid(value, os.WNOHANG)
                if pid:
                    answer = ended[value] = os.waitstatus_to_exitcode(status)
        print(json.dumps(answer), flush=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)


def _child(
    entry: str, log: str, arguments: list[Any], environment: dict[str, str]
) -> NoReturn:
    """Runs the entry in a forked process, and ends it."""
    _die_with_parent()
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
    os.dup2(1, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # New text streams: the inherited ones belong to the server's pipe.
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    status = 1
    try:
        module, function = entry.split(":")
        status = getattr(importlib.import_module(module), function)(*arguments) or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
    os._exit(status)


if __name__ == "__main__":
    _serve()
