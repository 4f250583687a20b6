"""Joins studies that share a folder, so that one page compares the rows of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from launch.studies.results import PretrainingResult, StudyResults
from launch.studies.study import Study
from selfsup.common.errors import UserError

# What has to be equal for rows of two studies to be comparable.
_SHARED = ("snapshot_cost", "pretraining_flags", "lasso")


def combine(parts: Sequence[StudyResults]) -> StudyResults:
    """Returns the results of several studies as those of one study with all their rows.

    Args:
      parts: results of at least one study; the first decides the order of rows.

    Raises:
      UserError: if two studies differ in what makes rows comparable, or give a row of the
        same name another meaning.
    """
    first, *others = (part.study for part in parts)
    for number, other in enumerate(others, start=1):
        for earlier in parts[:number]:
            _require_comparable(earlier.study, other)
    studies = [part.study for part in parts]
    study = dataclasses.replace(
        first,
        name=" and ".join(each.name for each in studies),
        description=" ".join(each.description for each in studies),
        rows=tuple({row.name: row for each in studies for row in each.rows}.values()),
        seeds=tuple(sorted({seed for each in studies for seed in each.seeds})),
        snapshots=tuple(sorted({n for each in studies for n in each.snapshots})),
        evaluations=tuple(
            {plan.name: plan for each in studies for plan in each.evaluations}.values()
        ),
    )
    measured = {
        (each.row, each.seed, each.snapshot, each.evaluation): each
        for part in parts
        for each in part.measurements
    }
    pretrained: dict[str, PretrainingResult] = {}
    for run in (run for part in parts for run in part.pretrainings):
        known = pretrained.get(run.folder, run)
        names = tuple(dict.fromkeys([*known.rows, *run.rows]))
        pretrained[run.folder] = dataclasses.replace(run, rows=names)
    cells = {cell.name: cell for part in parts for cell in part.cells}
    return StudyResults(
        study,
        tuple(measured.values()),
        tuple(pretrained.values()),
        tuple(cells.values()),
    )


def _require_comparable(first: Study, other: Study) -> None:
    differences = [
        name.replace("_", " ")
        for name in _SHARED
        if getattr(first, name) != getattr(other, name)
    ]
    rows = {row.name: row for row in first.rows}
    differences += [
        f"row {row.name}" for row in other.rows if rows.get(row.name, row) != row
    ]
    plans = {plan.name: plan for plan in first.evaluations}
    differences += [
        f"evaluation {plan.name}"
        for plan in other.evaluations
        if plans.get(plan.name, plan) != plan
    ]
    if differences:
        raise UserError(
            f"the studies {first.name} and {other.name} cannot be joined, because they "
            f"differ in: {', '.join(differences)}; choose one of them by the option "
            "study"
        )
