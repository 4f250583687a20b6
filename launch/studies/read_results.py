"""Reads the results of a study from its folder, for reports and tables."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence

from eval import metrics_file
from launch.studies import store
from launch.studies.cell import Cell
from launch.studies.cell_state import CellFolder
from launch.studies.results import (
    CellStatus,
    Measurement,
    PretrainingResult,
    Provenance,
    StudyResults,
)
from selfsup.common import config_file

_CHECKPOINTS = "checkpoints"
_STATE = "state.json"


def read(output: str, name: str | None = None) -> StudyResults:
    """Reads everything that a study has left so far.

    Args:
      output: folder of the study.
      name: name of the study; None if the folder holds only one.

    Raises:
      UserError: if there is no such study, or if a file is damaged.
    """
    study, cells = store.read(output, name)
    return StudyResults(
        study=study,
        measurements=measurements(cells, output),
        pretrainings=_pretrainings(cells, output, max(study.snapshots)),
        cells=tuple(_status(each, output) for each in cells),
    )


def measurements(cells: Sequence[Cell], output: str) -> tuple[Measurement, ...]:
    """Returns the finished evaluations, in the order of the cells.

    Args:
      cells: of the study.
      output: folder of the study.

    Raises:
      UserError: if a file of metrics is damaged.
    """
    return tuple(
        measurement
        for each in cells
        if each.kind == "evaluation" and CellFolder(output, each).has_finished()
        for measurement in _measurements(each, output)
    )


def _measurements(cell: Cell, output: str) -> list[Measurement]:
    """One measurement for each row that the evaluation serves."""
    fields = metrics_file.read(os.path.join(output, cell.folder))
    chance = fields["details"].get("chance", {})
    alpha = fields["alpha"]
    provenance = _provenance(cell, output)
    return [
        Measurement(
            row=row,
            seed=cell.seed,
            snapshot=cell.snapshot,
            cost=float(fields["trunk"].get("cost") or 0.0),
            evaluation=cell.evaluation,
            metrics=fields["metrics"],
            # A metric such as "linear_top1" has the chance level of "top1".
            chance={
                name: chance[name.split("_")[-1]]
                for name in fields["metrics"]
                if name.split("_")[-1] in chance
            },
            alpha=None if alpha is None else tuple(alpha),
            provenance=provenance,
            headline=fields["headline"],
        )
        for row in cell.rows
    ]


def _pretrainings(
    cells: Sequence[Cell], output: str, last: int
) -> tuple[PretrainingResult, ...]:
    """The pretrainings that have a state; `last` is the number of the last snapshot."""
    results = []
    for each in cells:
        folder = os.path.join(output, each.folder)
        state = _state(folder, last) if each.kind == "pretraining" else None
        if state is None:
            continue
        name, cost = state
        results.append(
            PretrainingResult(
                rows=each.rows,
                seed=each.seed,
                folder=each.folder,
                cost=cost,
                alpha=_alpha(folder, name),
                provenance=_provenance(each, output),
            )
        )
    return tuple(results)


def _state(folder: str, last: int) -> tuple[str, float] | None:
    """Name and cost of the state of a run that a report shows; None if there is none.

    It is the study's last snapshot, which another study may have gone beyond. A run that
    has not reached it, or keeps no snapshots, has the newest checkpoint.
    """
    root = os.path.join(folder, _CHECKPOINTS)
    names = os.listdir(root) if os.path.isdir(root) else []
    numbers = [name.split("-")[1] for name in names if name.startswith("checkpoint-")]
    newest = sorted((int(number), number) for number in numbers if number.isdigit())
    candidates = [f"snapshot-{last:03d}"]
    candidates += [f"checkpoint-{number}" for _, number in reversed(newest)]
    for name in candidates:
        # The run may remove an old checkpoint at any time.
        path = os.path.join(root, name, _STATE)
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            return name, float(json.load(file)["cost"])
    return None


def _alpha(folder: str, checkpoint: str) -> dict[str, tuple[float, ...]]:
    """|alpha| by task; empty without the lasso, which is known without TensorFlow."""
    config = config_file.read(folder)
    if not config["lasso"] and not config.get("group_lasso"):
        return {}
    from selfsup.pretraining import pretrained_trunk

    rows = pretrained_trunk.load(folder, checkpoint).unit_weights
    return {
        task: tuple(abs(float(weight)) for weight in row) for task, row in rows.items()
    }


def _status(cell: Cell, output: str) -> CellStatus:
    state, reason = CellFolder(output, cell).state()
    return CellStatus(cell.name, state, cell.command, reason)


def _provenance(cell: Cell, output: str) -> Provenance:
    record = CellFolder(output, cell).read()
    if record is None:
        return Provenance(cell.command, cell.folder, "", {}, 0.0, "", {})
    return Provenance(
        command=record.command,
        folder=cell.folder,
        commit=record.commit,
        data=record.data,
        seconds=record.seconds,
        started=record.started,
        versions=record.versions,
    )
