"""Results of a study with invented numbers, for tests of pages and statistics."""

from __future__ import annotations

import numpy as np

from launch.studies import rows
from launch.studies.results import (
    CellStatus,
    Measurement,
    PretrainingResult,
    Provenance,
    StudyResults,
)
from launch.studies.study import EvaluationPlan, Pretraining, Row, Study

HEADLINES = {
    "imagenet_linear": "top5",
    "voc07_detection": "mAP_0.5",
    "nyuv2_depth": "under_1.25",
}
SHALLOW = Row("RP, shallow", Pretraining(("relative_position",), trunk={"depth": "50"}))
_COST = 2400.0
_UNITS = 23
CHANCE = {"imagenet_linear": {"top1": 0.001, "top5": 0.005}}


def provenance(command, folder):
    """Where an invented number comes from."""
    return Provenance(
        command=command,
        folder=folder,
        commit="0123abc",
        data={"data/<photos>": "sha256:00ff"},
        seconds=5400.0,
        started="2026-01-02T03:04:05Z",
        versions={"selfsup": "0.1.0", "tensorflow": "2.15.1"},
    )


def metrics(evaluation, level, generator):
    """Metrics of an evaluation whose headline is about `level`, in percent."""
    share = (level + generator.normal(0, 0.4)) / 100
    if evaluation == "imagenet_linear":
        return {"top1": 0.6 * share, "top5": share, "cross_entropy": 2.0}
    if evaluation == "voc07_detection":
        return {"mAP_0.5": share, "mAP_0.75": 0.6 * share}
    return {
        "under_1.25": share,
        "under_1.25_2": 0.5 + share / 2,
        "under_1.25_3": 0.75 + share / 4,
        "mean_absolute_error": 1.5 - share,
        "mean_relative_error": 0.6 - share / 2,
    }


def study(row_names=tuple(rows.ROWS), seeds=(0, 1, 2), snapshots=(1, 4, 7)):
    """A study of rows of the paper and a shallower trunk."""
    return Study(
        name="invented",
        description="Invented numbers.",
        rows=(*(rows.ROWS[name] for name in row_names), SHALLOW),
        seeds=seeds,
        snapshot_cost=_COST,
        snapshots=snapshots,
        evaluations=tuple(
            EvaluationPlan(name, {"preset": "paper"}) for name in HEADLINES
        ),
        pretraining_flags={"preset": "paper"},
        lasso=1e-3,
    )


def results(declared=None, without=()):
    """Results with noise of 0.4 points.

    Args:
      declared: the study; None for a rich one.
      without: names of rows that have not been measured.
    """
    declared = declared or study()
    generator = np.random.default_rng(0)
    measured, pretrained, cells = [], [], []
    for seed in declared.seeds:
        for number, row in enumerate(declared.rows):
            snapshots = declared.snapshots if row.pretraining else (0,)
            for snapshot in snapshots:
                for plan in declared.evaluations:
                    level = 40.0 + 1.5 * number - 12.0 / (1 + snapshot)
                    name = f"{plan.name} of {row.name} seed {seed} snapshot {snapshot}"
                    command = (
                        f"python -m eval.{plan.name} --seed={seed} --output='{name}'"
                    )
                    state = "waiting" if row.name in without else "done"
                    cells.append(CellStatus(name, state, command))
                    numbers = metrics(plan.name, level, generator)
                    if row.name in without:
                        continue
                    measured.append(
                        Measurement(
                            row=row.name,
                            seed=seed,
                            snapshot=snapshot,
                            cost=snapshot * _COST,
                            evaluation=plan.name,
                            metrics=numbers,
                            chance=CHANCE.get(plan.name, {}),
                            alpha=_alpha(generator) if row.evaluation_lasso else None,
                            provenance=provenance(command, f"evaluations/{name}"),
                            headline=HEADLINES[plan.name],
                        )
                    )
            if row.pretraining and row.name not in without:
                command = (
                    f"python -m launch.pretrain --seed={seed} --model_dir='{row.name}'"
                )
                pretrained.append(
                    PretrainingResult(
                        rows=(row.name,),
                        seed=seed,
                        folder=f"pretraining/{row.name}",
                        cost=max(snapshots) * _COST,
                        alpha={
                            task: _alpha(generator) for task in row.pretraining.tasks
                        }
                        if row.pretraining.lasso
                        else {},
                        provenance=provenance(command, f"pretraining/{row.name}"),
                    )
                )
    return StudyResults(declared, tuple(measured), tuple(pretrained), tuple(cells))


def _alpha(generator):
    weights = generator.exponential(1.0, _UNITS) * (generator.random(_UNITS) > 0.6)
    return tuple(float(weight) for weight in weights / np.linalg.norm(weights))
