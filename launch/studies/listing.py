"""Prints the cells of a study and their states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from launch.studies.cell import Cell
from launch.studies.cell_state import CellFolder


def print_cells(cells: Sequence[Cell], output: str) -> None:
    """Prints number, state, name and command of each cell, and how many have each state.

    Args:
      cells: of the study.
      output: folder of the study.
    """
    counts: Counter[str] = Counter()
    for number, each in enumerate(cells):
        state, reason = CellFolder(output, each).state()
        counts[state] += 1
        print(f"{number:4d}  {state:8s} {each.name}")
        if reason:
            print(f"      {reason}")
        print(f"      {each.command}")
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    print(f"{len(cells)} cells: {total}")
