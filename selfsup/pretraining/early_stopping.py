"""Decides when a task has learned all that helps on its held-out records."""

from __future__ import annotations

import math
from collections.abc import Iterable

from selfsup.common.history import Row


class OverfittingWatch:
    """Follows the held-out loss of each task over its validations.

    The history of a run has all that is followed, so a resumed run continues from there.

    Attributes:
      patience: number of validations without a lower held-out loss after which a task
        stops; 0 for never.
    """

    def __init__(self, patience: int, rows: Iterable[Row] = ()) -> None:
        """
        Args:
          patience: see above.
          rows: the history of the run so far, oldest first.
        """
        self.patience = patience
        # By task: the step and the value of its lowest held-out loss.
        self._best: dict[str, tuple[int, float]] = {}
        self._waited: dict[str, int] = {}
        self._stopped: dict[str, int] = {}
        for row in rows:
            if row["split"] == "validation":
                self.add(row["task"], row["step"], row["loss"])

    def add(self, task: str, step: int, loss: float) -> bool:
        """Takes in a validation.

        Args:
          task: the task.
          step: number of steps that the task had taken.
          loss: its held-out loss; a loss that is not a number is no improvement.

        Returns:
          whether the task stops now. It does so once.
        """
        _, best = self._best.get(task, (step, math.nan))
        is_lower = loss < best or (math.isnan(best) and not math.isnan(loss))
        if task not in self._best or is_lower:
            self._best[task] = step, loss
            self._waited[task] = 0
            return False
        self._waited[task] += 1
        if task in self._stopped or not 0 < self.patience <= self._waited[task]:
            return False
        self._stopped[task] = step
        return True

    def stopped(self) -> dict[str, dict[str, float]]:
        """Returns, by task that has stopped, "step", "best_step" and "best_loss"."""
        return {
            task: {
                "step": step,
                "best_step": self._best[task][0],
                "best_loss": self._best[task][1],
            }
            for task, step in self._stopped.items()
        }
