"""The metrics of a run over time, as a file with a JSON object on each line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from selfsup.common import files

FILE_NAME = "history.jsonl"

# {"task": str, "split": str, "step": int, "total_steps": int, metric: number, ...}
Row = dict[str, Any]


class History:
    """Appends rows to the history file of a run; see `Row`."""

    def __init__(self, model_dir: str, total_steps: int) -> None:
        """Opens the history of a run that starts or resumes.

        Args:
          model_dir: folder of the run.
          total_steps: steps of all tasks that the run has taken. Later rows are removed,
            because the run repeats their steps.
        """
        self._path = os.path.join(model_dir, FILE_NAME)
        kept = [row for row in read(model_dir) if row["total_steps"] <= total_steps]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        files.write_atomically(self._path, text)
        self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115

    def add(
        self,
        task: str,
        split: str,
        step: int,
        total_steps: int,
        values: Mapping[str, float],
    ) -> None:
        """Adds a row.

        Args:
          task: name of the task.
          split: "train", "validation" or another kind of row.
          step: number of steps that the task has taken.
          total_steps: number of steps that all tasks have taken.
          values: numbers by metric name.
        """
        row = {"task": task, "split": split, "step": step, "total_steps": total_steps}
        self._file.write(json.dumps({**row, **values}) + "\n")

    def flush(self) -> None:
        """Makes the rows visible to readers of the file."""
        self._file.flush()


def read(model_dir: str) -> list[Row]:
    """Returns the complete rows of a run's history, oldest first; [] without a file."""
    path = os.path.join(model_dir, FILE_NAME)
    if not os.path.exists(path):
        return []
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                rows.append(json.loads(line))
            except ValueError:
                # The process was killed while it wrote this last line.
                break
    return rows
