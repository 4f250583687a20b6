"""Joins studies that share a folder, so that one page compares the rows of all."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from launch.studies.results import PretrainingResult, StudyResults
from selfsup.common.errors import UserError

# What has to be equal for rows of two studies to be comparable.
_SHARED = ("snapshot_cost", "pretraining_flags", "lasso")


def combine(parts: Sequence[StudyResults]) -> StudyResults:
    """Returns the results of several studies as those of one study with all their rows.

    Args:
      parts: results of at least one study; the first decides the order of rows.

    Raises:
      UserError: if two studies differ in what makes rows comparable, such as their data,
        or give a row of the same name another meaning.
    """
    for earlier, later in itertools.combinations(parts, 2):
        _require_comparable(earlier, later)
    studies = [part.study for part in parts]
    first = studies[0]
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


def _require_comparable(first_results: StudyResults, results: StudyResults) -> None:
    first, other = first_results.study, results.study
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
    known = _data(first_results)
    differences += [
        f"data of {use}"
        for use, checksums in _data(results).items()
        if known.get(use, checksums) != checksums
    ]
    if differences:
        raise UserError(
            f"the studies {first.name} and {other.name} cannot be joined, because they "
            f"differ in: {', '.join(differences)}; choose one of them by the option "
            "study"
        )


def _data(results: StudyResults) -> dict[str, set[str]]:
    """The checksums of the data sets that each use of data has read."""
    uses: dict[str, set[str]] = {}
    sources = [(each.evaluation, each.provenance) for each in results.measurements]
    sources += [("pretraining", each.provenance) for each in results.pretrainings]
    for use, source in sources:
        checksums = set(filter(None, source.data.values()))
        if checksums:
            uses.setdefault(use, set()).update(checksums)
    return uses
