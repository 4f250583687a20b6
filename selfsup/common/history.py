"""The numbers of a run as lines of JSON, from which curves are drawn."""

import json
import os

from selfsup.common import files

FILE_NAME = "history.jsonl"


class History:
    """Appends rows {"task", "split", "step", "total_steps", scalars...} to a file."""

    def __init__(self, model_dir, total_steps):
        """Opens the history of a run that goes on from `total_steps`.

        Rows after that point are of steps that are taken again, so they are dropped.
        """
        self._path = os.path.join(model_dir, FILE_NAME)
        kept = [row for row in read(model_dir) if row["total_steps"] <= total_steps]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        files.write_atomically(self._path, text)
        self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115

    def add(self, task, split, step, total_steps, values):
        """Adds the scalars of one task at its step `step`."""
        row = {"task": task, "split": split, "step": step, "total_steps": total_steps}
        self._file.write(json.dumps({**row, **values}) + "\n")

    def flush(self):
        """Makes the rows visible to readers."""
        self._file.flush()


def read(model_dir):
    """All whole rows of a run's history, oldest first; [] where there is none."""
    path = os.path.join(model_dir, FILE_NAME)
    if not os.path.exists(path):
        return []
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                rows.append(json.loads(line))
            except ValueError:
                # The last line of a run that was killed while writing it.
                break
    return rows
