"""The named studies: the paper's tables and figures, and smaller ones of the same kind."""

from __future__ import annotations

from collections.abc import Mapping

from launch.studies import rows
from launch.studies.rows import ALL_TASKS, LABELS, RANDOM, ROWS
from launch.studies.study import EvaluationPlan, Pretraining, Row, Study
from selfsup.common.errors import SettingError
from selfsup.pretraining import presets

LINEAR = "imagenet_linear"
DETECTION = "voc07_detection"
DEPTH = "nyuv2_depth"
_ALL_EVALUATIONS = (LINEAR, DETECTION, DEPTH)

_SINGLE = ("RP", "Col", "Ex", "MS")
_COMBINATIONS = ("RP+Col", "RP+Ex", "RP+MS", "RP+Col+Ex", ALL_TASKS)
_HARMONIZED = ("RP", "RP / H", "RP+Col", "RP+Col / H")
_LASSOS = (
    ALL_TASKS,
    rows.EVALUATION_LASSO,
    rows.PRETRAINING_LASSO,
    rows.BOTH_LASSO,
)
_MAIN = (RANDOM, *_SINGLE, *_COMBINATIONS)

# Section 6.1: a snapshot every 2.4K GPU hours, seven of them.
_PAPER_SNAPSHOT_COST = 2400.0
_PAPER_SNAPSHOTS = (1, 2, 3, 4, 5, 6, 7)
# The paper does not give the weight; docs/hyperparameters.md.
_LASSO = 1e-3
# 100 epochs of 32 photos a step (docs/imagenet_labels.md).
_LABELS_STEPS = "4003647"


def named(name: str) -> Study:
    """Returns a named study.

    Raises:
      UserError: for an unknown name; the message lists the names.
    """
    if name not in STUDIES:
        raise SettingError(
            f"study={name}",
            f"no file and no named study; named studies are: {', '.join(STUDIES)}",
        )
    return STUDIES[name]


def _paper(
    name: str,
    description: str,
    row_names: tuple[str, ...],
    evaluations: tuple[str, ...] = _ALL_EVALUATIONS,
    snapshots: tuple[int, ...] = (7,),
) -> Study:
    """A study at the paper's scale."""
    return Study(
        name=name,
        description=description,
        rows=_rows(row_names, _LABELS_STEPS),
        seeds=(0,),
        snapshot_cost=_PAPER_SNAPSHOT_COST,
        snapshots=snapshots,
        evaluations=tuple(
            EvaluationPlan(each, {"preset": "paper"}) for each in evaluations
        ),
        pretraining_flags={"preset": "paper"},
        lasso=_LASSO,
    )


def _rows(names: tuple[str, ...], labels_steps: str) -> tuple[Row, ...]:
    """Returns rows of the paper; the labels have a schedule of their own."""
    labels = Pretraining(
        ("imagenet_labels",), flags={"end_cost": "0", "steps": labels_steps}
    )
    return tuple(
        Row(LABELS, labels) if name == LABELS else ROWS[name] for name in names
    )


def _tables() -> list[Study]:
    table1 = (RANDOM, *_SINGLE, LABELS)
    table2 = ("RP", *_COMBINATIONS, LABELS)
    return [
        _paper("table1", "Single tasks, a random trunk and ImageNet labels.", table1),
        _paper("table2", "Combinations of tasks.", table2),
        _paper("table3", "Harmonised inputs.", _HARMONIZED),
        _paper("table4", "The lasso in pretraining and in evaluations.", _LASSOS),
        _paper("table5", "Single tasks: all metrics of depth.", table1, (DEPTH,)),
        _paper("table6", "Combinations: all metrics of depth.", table2, (DEPTH,)),
        _paper(
            "table7", "Harmonised inputs: all metrics of depth.", _HARMONIZED, (DEPTH,)
        ),
        _paper("table8", "The lasso: all metrics of depth.", _LASSOS, (DEPTH,)),
    ]


def _figures() -> list[Study]:
    return [
        _paper(
            "figure3",
            "Single tasks and a random trunk at seven costs.",
            (RANDOM, *_SINGLE),
            snapshots=_PAPER_SNAPSHOTS,
        ),
        _paper(
            "figure4",
            "Combinations of tasks at seven costs.",
            (RANDOM, "RP", *_COMBINATIONS),
            snapshots=_PAPER_SNAPSHOTS,
        ),
        _paper(
            "figure5",
            "The weights alpha of the units, by task and by evaluation.",
            (rows.BOTH_LASSO,),
        ),
    ]


def _union(studies: list[Study]) -> Study:
    return _paper(
        "paper",
        "All tables and figures of the paper.",
        tuple(name for name in ROWS if any(_has(study, name) for study in studies)),
        snapshots=_PAPER_SNAPSHOTS,
    )


def _has(study: Study, row: str) -> bool:
    return any(each.name == row for each in study.rows)


# For CPUs: a pretraining to the second snapshot takes some minutes of two cores.
_TINY = {"preset": "tiny", "checkpoint_seconds": "60"}
_SMALL_SNAPSHOT_COST = 1.2e-3
_SMALL_STEPS = {LINEAR: "100", DETECTION: "400", DEPTH: "200"}


def _small(
    name: str, description: str, chosen: tuple[Row, ...], seeds: tuple[int, ...]
) -> Study:
    return Study(
        name=name,
        description=description,
        rows=chosen,
        seeds=seeds,
        snapshot_cost=_SMALL_SNAPSHOT_COST,
        snapshots=(1, 2),
        evaluations=tuple(
            EvaluationPlan(each, {"preset": "tiny", "steps": steps})
            for each, steps in _SMALL_STEPS.items()
        ),
        pretraining_flags=_TINY,
        lasso=_LASSO,
        world={"scale": "tiny"},
    )


def _small_studies() -> list[Study]:
    further = (
        "RP / H",
        "RP+Col / H",
        rows.EVALUATION_LASSO,
        rows.PRETRAINING_LASSO,
        rows.BOTH_LASSO,
        LABELS,
    )
    return [
        _small(
            "small",
            "The main rows of the paper on a machine without a GPU.",
            _rows(_MAIN, ""),
            (0, 1, 2),
        ),
        _small(
            "small_further",
            "Shallower trunks, harmonised inputs, the lasso and labels, without a GPU.",
            (*_shallow_rows(), *_rows(further, "600")),
            (0, 1, 2),
        ),
        _small(
            "small_extensions",
            "The proposals of the paper's section 7 with all tasks, without a GPU.",
            _extension_rows(),
            (0, 1, 2),
        ),
        _small(
            "demo",
            "All four tasks and a random trunk on a synthetic world, in minutes.",
            (ROWS[RANDOM], ROWS[ALL_TASKS]),
            (0,),
        ),
    ]


def _shallow_rows() -> tuple[Row, ...]:
    """Rows for the finding that deeper trunks gain more from several tasks."""
    trunk = {"depth": "tiny_shallow"}
    tasks = {name: ROWS[name].pretraining for name in ("RP", ALL_TASKS)}
    return (
        Row(f"{RANDOM}, shallow", None, trunk=trunk),
        *(
            Row(f"{name}, shallow", Pretraining(pretraining.tasks, trunk=trunk))
            for name, pretraining in tasks.items()
            if pretraining
        ),
    )


def _extension_rows() -> tuple[Row, ...]:
    """All four tasks with one proposal each; docs/extensions.md explains them."""
    tasks = presets.DEFAULT_TASKS
    proposals = {
        "augmented": {"augment": "true"},
        "uncertainty": {"weighting": "uncertainty"},
        "GradNorm": {"weighting": "gradnorm"},
        "blocks of units": {"group_lasso": str(_LASSO), "group_units": "2"},
    }
    return tuple(
        Row(f"{ALL_TASKS}, {name}", Pretraining(tasks, flags=flags))
        for name, flags in proposals.items()
    )


def _all() -> Mapping[str, Study]:
    paper = [*_tables(), *_figures()]
    studies = [*paper, _union(paper), *_small_studies()]
    return {study.name: study for study in studies}


STUDIES = _all()
