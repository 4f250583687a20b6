"""A study of mock cells as a process.

    python -m tests.support.mock_study OUTPUT JOBS [CELL]

OUTPUT/grid.json lists the cells: {"name", "needs", and flags of `mock_cell`}.
"""

import json
import os
import sys

from launch.studies import study_run
from launch.studies.cell import Cell, digest


def cells(output):
    with open(os.path.join(output, "grid.json")) as file:
        return [_cell(output, **fields) for fields in json.load(file)]


def _cell(output, name, needs=(), **flags):
    path = f"results/{name}"
    return Cell(
        name=name,
        kind="evaluation",
        module="tests.support.mock_cell",
        flags={"output": os.path.join(output, path), **flags},
        folder=path,
        finished=(path,),
        fingerprint=digest({"name": name}),
        settings={"name": name},
        needs=tuple(needs),
    )


if __name__ == "__main__":
    folder, jobs, *number = sys.argv[1:]
    if number:
        sys.exit(study_run.run_cell(cells(folder), folder, int(number[0])))
    sys.exit(study_run.run_cells(cells(folder), folder, [{}] * int(jobs)))
