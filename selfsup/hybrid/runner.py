"""A thread that takes the steps of one stepper and can be paused between two steps."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Collection, Iterator
from typing import Union

from selfsup.hybrid import executors
from selfsup.hybrid.quota import Quota
from selfsup.hybrid.step import StepResult
from selfsup.hybrid.stepper import Stepper

# Seconds between two attempts to take a step while other runners have the last steps.
_RETRY_SECONDS = 0.01


@dataclasses.dataclass(frozen=True)
class Failure:
    """A step has raised, which ended its runner.

    Attributes:
      runner: the `Runner`.
      error: the error that was raised.
    """

    runner: Runner
    error: Exception


Event = Union[StepResult, Failure]


class Runner:
    """Calls `Stepper.advance` in a thread until the quota is used up or `end` is called.

    Attributes:
      stepper: the `Stepper`.
      finished: whether the quota is used up.
      has_stepped: whether a step has returned; the first step includes tracing.
    """

    def __init__(
        self,
        stepper: Stepper,
        quota: Quota,
        events: queue.Queue[Event],
        devices: Collection[str] | None = None,
    ) -> None:
        """Makes the runner; `start` starts its thread.

        Args:
          stepper: the `Stepper`.
          quota: the `Quota` that steps are taken from.
          events: receives the result of each step, and the failure that ends the runner.
          devices: the replicas are first rebuilt on these devices; None to keep the
            current replicas.
        """
        self.stepper = stepper
        self.finished = quota.used_up
        self.has_stepped = False
        self._quota = quota
        self._events = events
        self._may_step = threading.Event()
        self._may_step.set()
        self._idle = threading.Event()
        self._ended = False
        self._abandoned = False
        self._busy_since: float | None = None
        self._devices = devices
        # A step that hangs on a lost machine must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, daemon=True, name=stepper.name
        )

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def pause(self) -> None:
        """Requests that no further step begins until `resume`."""
        self._may_step.clear()

    def resume(self) -> None:
        """Ends a pause."""
        self._may_step.set()

    def end(self) -> None:
        """Requests that no further step begins at all; a step under way may finish."""
        self._ended = True
        self._may_step.set()

    def abandon(self) -> None:
        """Ends the runner and ignores all that its thread may still report."""
        self._abandoned = self._ended = True

    def give_step_back(self) -> None:
        """Leaves the step under way, which can no longer be applied, to other runners."""
        self._quota.give_back(self)

    def wait_until_idle(self, seconds: float) -> bool:
        """Waits for the step under way after `pause` or `end`; returns if it ended."""
        return self._idle.wait(max(0.0, seconds))

    def busy_seconds(self) -> float:
        """Returns how long the step under way has taken so far; 0 between steps."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        with executors.isolated():
            self._take_steps()

    def _take_steps(self) -> None:
        try:
            if self._devices is not None:
                with self._busy():
                    self.stepper.rebuild(self._devices)
            while not self._ended and not self.finished:
                if not self._may_step.is_set():
                    self._idle.set()
                    self._may_step.wait()
                    self._idle.clear()
                elif self._quota.take(self):
                    self._take_step()
                else:
                    self.finished = self._quota.used_up
                    time.sleep(0.0 if self.finished else _RETRY_SECONDS)
        except Exception as error:
            self._report(Failure(self, error))
        finally:
            self._busy_since = None
            self._idle.set()

    def _take_step(self) -> None:
        with self._busy():
            result = self.stepper.advance()
        self.has_stepped = True
        if result is None:
            self._ended = True
            return
        self._quota.give_back(self)
        self._report(result)

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """Lets `busy_seconds` measure the work of the block."""
        self._busy_since = time.monotonic()
        yield
        self._busy_since = None

    def _report(self, event: Event) -> None:
        if not self._abandoned:
            self._events.put(event)
