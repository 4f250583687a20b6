"""The number of steps that a task may still take, shared by all runners of the task."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Protocol


class Steps(Protocol):
    """Counts the steps of a task."""

    @property
    def steps(self) -> int:
        """Number of steps counted so far."""


class Quota:
    """Hands out the steps of a task up to its limit.

    A taker takes a step before it begins, and gives it back after the step is counted or
    has failed. So several takers together stop exactly at the limit, and a failed step
    is left to another taker.
    """

    def __init__(self, counter: Steps, limit: int) -> None:
        """Makes the quota.

        Args:
          counter: counts the steps of the task.
          limit: number of steps at which the task is finished.
        """
        self._counter = counter
        self._limit = limit
        self._lock = threading.Lock()
        self._takers: set[Hashable] = set()

    @property
    def used_up(self) -> bool:
        """Whether the task has reached its limit."""
        return self._counter.steps >= self._limit

    def end(self) -> None:
        """Hands out no more steps."""
        with self._lock:
            self._limit = min(self._limit, self._counter.steps)

    def take(self, taker: Hashable) -> bool:
        """Takes a step for `taker`; returns False if no step is left."""
        with self._lock:
            if self._counter.steps + len(self._takers) >= self._limit:
                return False
            self._takers.add(taker)
            return True

    def give_back(self, taker: Hashable) -> None:
        """Ends the step that `taker` took, if any: it is counted, or never will be."""
        with self._lock:
            self._takers.discard(taker)
