"""How long cells take, for the estimated end of a study."""

from __future__ import annotations

from collections.abc import Sequence

from launch.studies.cell import Cell
from selfsup.common import durations


class Durations:
    """The mean duration of the finished cells of each command."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def add(self, cell: Cell, seconds: float) -> None:
        """Takes in the duration of a finished cell."""
        self._seconds.setdefault(cell.module, []).append(seconds)

    def left(self, cells: Sequence[Cell], jobs: int) -> str:
        """Describes how long `cells` will take.

        Args:
          cells: the cells that are not done.
          jobs: number of cells that run at once.

        Returns:
          a text such as "about 2 h 10 min left", "at least ..." if no cell of some
          command has finished yet, or "" if nothing is known.
        """
        known = [cell for cell in cells if self._seconds.get(cell.module)]
        if not known:
            return ""
        seconds = sum(self._mean(cell.module) for cell in known) / jobs
        word = "about" if len(known) == len(cells) else "at least"
        return f"{word} {durations.text(seconds)} left"

    def _mean(self, module: str) -> float:
        seconds = self._seconds[module]
        return sum(seconds) / len(seconds)
