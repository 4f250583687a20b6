"""Real processes that start at once: forked from one that has imported TensorFlow.

A test of a cluster needs half a dozen processes and restarts some; each would spend
seconds of a small machine's time on the import alone.
"""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback

_DIES_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


class ForkServer:
    """Starts processes, and kills them all when it is closed or dies."""

    def __init__(self, prefix=()):
        """
        Args:
          prefix: a command that runs the one that follows it, such as unshare.
        """
        paths = [os.path.dirname(__file__), os.getcwd(), *sys.path]
        variables = {
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONWARNINGS": "ignore",
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONUNBUFFERED": "1",
        }
        self._mother = subprocess.Popen(
            [*prefix, sys.executable, "-m", "fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **variables},
        )

    def start(self, entry, log, arguments=(), environment=()):
        """Runs `entry`, "module:function", with `arguments`; returns a `Child`."""
        with open(log, "a", encoding="utf-8"):
            pass
        job = [entry, str(log), list(arguments), dict(environment)]
        return Child(self, self._ask("start", job), log)

    def poll(self, pid):
        """Exit status of a child, negative for a signal; None while it runs."""
        return self._ask("poll", pid)

    def close(self):
        self._mother.kill()
        self._mother.communicate()

    def _ask(self, what, value):
        self._mother.stdin.write(json.dumps([what, value]) + "\n")
        return json.loads(self._mother.stdout.readline())


class Child:
    """A process of a `ForkServer`.

    Attributes:
      pid: of the process.
      log: path of what it writes to stdout and stderr.
    """

    def __init__(self, fork_server, pid, log):
        self.pid, self.log = pid, log
        self._fork_server = fork_server

    def send(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """Kills it and waits for its end."""
        self.send(signal.SIGKILL)
        self.wait(30)

    def poll(self):
        return self._fork_server.poll(self.pid)

    def wait(self, seconds):
        """Its exit status; fails with its log when it does not end."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, f"still runs; its log:\n{self.text()}"
            time.sleep(0.05)
        return self.poll()

    def wait_for(self, text, seconds, count=1):
        """Waits until its log holds `text` so many times; returns the log."""
        end = time.monotonic() + seconds
        while self.text().count(text) < count:
            ended = self.poll()
            assert ended is None or self.text().count(text) >= count, (
                f"ended ({ended}) before {text!r}; its log:\n{self.text()}"
            )
            assert time.monotonic() < end, f"no {text!r}; its log:\n{self.text()}"
            time.sleep(0.02)
        return self.text()

    def text(self):
        """Its log so far."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


def _serve():
    """The mother: forks on request. It starts no TensorFlow runtime of its own."""
    _die_with_parent()
    importlib.import_module("tensorflow")  # What makes the children quick.

    ended = {}
    for line in sys.stdin:
        what, value = json.loads(line)
        if what == "start":
            answer = os.fork() or _child(*value)
        else:
            answer = ended.get(value)
            if answer is None:
                pid, status = os.waitpid(value, os.WNOHANG)
                if pid:
                    answer = ended[value] = os.waitstatus_to_exitcode(status)
        print(json.dumps(answer), flush=True)


def _die_with_parent():
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)


def _child(entry, log, arguments, environment):
    _die_with_parent()
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
    os.dup2(1, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A new text layer: the mother's pipe is not for the child.
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
