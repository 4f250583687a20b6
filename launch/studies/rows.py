"""The rows of the paper's tables, by the names that the paper prints.

Abbreviations (table 2): RP relative position, Col colorization, Ex exemplar, MS motion
segmentation, H harmonised inputs.
"""

from __future__ import annotations

from launch.studies.study import Pretraining, Row

_RP = "relative_position"
_COL = "colorization"
_EX = "exemplar"
_MS = "motion_segmentation"
_ALL = (_RP, _COL, _EX, _MS)

RANDOM = "Random"
ALL_TASKS = "RP+Col+Ex+MS"
LABELS = "INet Labels"
# The row of table 4 without the lasso is ALL_TASKS.
EVALUATION_LASSO = "Eval Only Lasso"
PRETRAINING_LASSO = "Pre-train Only Lasso"
BOTH_LASSO = "Pre-train & Eval Lasso"

_ROWS = (
    Row(RANDOM, None),
    Row("RP", Pretraining((_RP,))),
    Row("Col", Pretraining((_COL,))),
    Row("Ex", Pretraining((_EX,))),
    Row("MS", Pretraining((_MS,))),
    Row("RP+Col", Pretraining((_RP, _COL))),
    Row("RP+Ex", Pretraining((_RP, _EX))),
    Row("RP+MS", Pretraining((_RP, _MS))),
    Row("RP+Col+Ex", Pretraining((_RP, _COL, _EX))),
    Row(ALL_TASKS, Pretraining(_ALL)),
    Row(LABELS, Pretraining(("imagenet_labels",))),
    Row("RP / H", Pretraining((_RP,), harmonize=True)),
    Row("RP+Col / H", Pretraining((_RP, _COL), harmonize=True)),
    Row(EVALUATION_LASSO, Pretraining(_ALL), evaluation_lasso=True),
    Row(PRETRAINING_LASSO, Pretraining(_ALL, lasso=True)),
    Row(BOTH_LASSO, Pretraining(_ALL, lasso=True), evaluation_lasso=True),
)
ROWS = {row.name: row for row in _ROWS}
