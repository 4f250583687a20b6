"""How many steps a task may still take, shared by all who take them."""

import threading


class Quota:
    """The steps up to a task's limit, which its groups take from.

    A step is taken before it is begun and is over once it is counted, so several
    groups together stop exactly at the limit. One that was lost goes to another group.
    """

    def __init__(self, counters, limit):
        """
        Args:
          counters: what has the task's `steps`.
          limit: steps at which it is finished.
        """
        self._counters = counters
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = set()

    @property
    def used_up(self):
        """Whether the task has reached its limit."""
        return self._counters.steps >= self._limit

    def take(self, taker):
        """Whether there is a step left to take for `taker`, any hashable object."""
        with self._lock:
            if self._counters.steps + len(self._taken) >= self._limit:
                return False
            self._taken.add(taker)
            return True

    def is_over(self, taker):
        """The step that `taker` took, if any, is counted by now, or will never be."""
        with self._lock:
            self._taken.discard(taker)
