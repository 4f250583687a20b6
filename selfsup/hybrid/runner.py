"""The thread that steps one group for ever, and can be held between two steps."""

import dataclasses
import threading
import time
from typing import Any

from selfsup.hybrid import executors

# How often a group looks whether a step that another one has taken is left to it.
_LOOK_AGAIN = 0.01


@dataclasses.dataclass(frozen=True)
class Stepped:
    """A step landed.

    Attributes:
      logs: dict of scalars by task.
      seconds: that it took.
    """

    logs: dict
    seconds: float


@dataclasses.dataclass(frozen=True)
class Failed:
    """A step raised.

    Attributes:
      runner: the `Runner`, which has ended.
      error: what it raised.
    """

    runner: Any
    error: Exception


class Runner:
    """Steps a group in a thread of its own until its quota is used up, or it is ended.

    Attributes:
      group: the `Group`, or another `Stepper` that can `advance`.
      finished: whether nothing is left of its quota.
      has_stepped: whether a step has come back; the first one is traced before.
    """

    def __init__(self, group, quota, events, devices=None):
        """
        Args:
          group: a `Group`, or another `Stepper` that can `advance`.
          quota: the `Quota` that it takes its steps from.
          events: `queue.Queue` that takes `Stepped` and `Failed`.
          devices: where the group's replicas are rebuilt first; None to take them as
            they are.
        """
        self.group = group
        self.finished = quota.used_up
        self.has_stepped = False
        self._quota = quota
        self._events = events
        self._may_step = threading.Event()
        self._may_step.set()
        self._idle = threading.Event()
        self._ended = False
        self._stepping_since = None
        self._devices = devices
        self._over = False
        # A step that hangs on a lost machine must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, daemon=True, name=group.name)

    def start(self):
        self._thread.start()

    def hold(self):
        """Asks for no more steps for now."""
        self._may_step.clear()

    def go_on(self):
        """Ends a hold."""
        self._may_step.set()

    def end(self):
        """Asks for no more steps at all; the one under way may still land."""
        self._ended = True
        self._may_step.set()

    def abandon(self):
        """Gives the thread up: whatever it still does is of no account."""
        self._over = self._ended = True

    def leave_step(self):
        """Leaves the step under way, which can no longer land, to others."""
        self._quota.is_over(self)

    def wait_until_held(self, seconds):
        """Waits for the step under way, after `hold` or `end`; returns whether it ended."""
        return self._idle.wait(max(0.0, seconds))

    def stepping_seconds(self):
        """How long the step under way has taken so far; 0 between steps."""
        since = self._stepping_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self):
        with executors.isolated():
            self._step_for_ever()

    def _step_for_ever(self):
        try:
            if self._devices is not None:
                self._timed(lambda: self.group.rebuild(self._devices))
            while not self._ended and not self.finished:
                if not self._may_step.is_set():
                    self._idle.set()
                    self._may_step.wait()
                    self._idle.clear()
                    continue
                if self._quota.take(self):
                    self._step()
                else:
                    self.finished = self._quota.used_up
                    time.sleep(0.0 if self.finished else _LOOK_AGAIN)
        except Exception as error:
            self._report(Failed(self, error))
        finally:
            self._stepping_since = None
            self._idle.set()

    def _step(self):
        logs, seconds = self._timed(self.group.advance)
        self.has_stepped = True
        if logs is None:
            self._ended = True
            return
        self._quota.is_over(self)
        self._report(Stepped(logs, seconds))

    def _timed(self, work):
        """(what `work` returns, seconds), watched by `stepping_seconds`."""
        self._stepping_since = start = time.monotonic()
        result = work()
        self._stepping_since = None
        return result, time.monotonic() - start

    def _report(self, event):
        if not self._over:
            self._events.put(event)
