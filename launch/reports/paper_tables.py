"""The numbers of tables 1 to 8 of the paper, exactly as it prints them.

The paper contradicts itself in a few places; `notes` of a table say where. Nothing here is
corrected, so that each number can be found in the paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from launch.reports.metrics import (
    NYU,
    NYU_2,
    NYU_3,
    NYU_ABSOLUTE,
    NYU_RELATIVE,
    PASCAL,
    PASCAL_STRICT,
    TOP1,
    TOP5,
    Metric,
)
from launch.studies import rows


@dataclasses.dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Attributes:
      number: its number in the paper.
      title: what it compares.
      metrics: its columns.
      rows: for each row its numbers as printed, in the order of `metrics`; "-" where the
        paper has no number.
      reference: the row that the other rows are compared with.
      previous: earlier results that the paper cites, {(row, metric): text}.
      notes: where the paper prints other numbers for the same result, and other remarks.
      printed: what the table calls a row, where that is not its name in `rows.ROWS`.
    """

    number: int
    title: str
    metrics: tuple[Metric, ...]
    rows: Mapping[str, str]
    reference: str
    previous: Mapping[tuple[str, Metric], str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    printed: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def printed_number(self, row: str, metric: Metric) -> str:
        """Returns a number as the paper prints it, or "" if the table has none."""
        if row not in self.rows or metric not in self.metrics:
            return ""
        number = self.rows[row].split()[self.metrics.index(metric)]
        return "" if number == "-" else number


_MAIN = (TOP5, PASCAL, NYU)
_DEPTH = (NYU, NYU_2, NYU_3, NYU_ABSOLUTE, NYU_RELATIVE)
_RP_DEPTH = "80.55 94.65 98.26 0.399 0.146"
_RP_COL_DEPTH = "79.88 94.45 98.15 0.411 0.148"
_RP_NOTE = (
    "The paper prints NYU of RP as 80.54 (tables 1, 2), 80.55 (5 to 7), 80.23 (3)."
)

TABLES = (
    PaperTable(
        number=1,
        title="Single tasks, against earlier results and ImageNet labels",
        metrics=(TOP1, TOP5, PASCAL, NYU),
        rows={
            rows.RANDOM: "- 10.5 - -",
            "RP": "36.21 59.21 66.75 80.54",
            "Col": "39.62 62.48 65.47 76.79",
            "Ex": "31.51 53.08 60.94 69.57",
            "MS": "27.62 48.29 61.13 74.24",
            rows.LABELS: "66.82 85.10 74.17 80.06",
        },
        reference=rows.RANDOM,
        previous={
            ("RP", TOP1): "31.7 [46]",
            ("Col", TOP1): "32.6 [46]",
            (rows.LABELS, TOP1): "51.0 [46]",
            ("RP", PASCAL): "61.7 [7]",
            ("Col", PASCAL): "46.9 [46]",
            ("MS", PASCAL): "52.2 [27]",
            (rows.LABELS, PASCAL): "69.9 [34]",
        },
        notes=(
            "The table has no row Random; its top-5 of 10.5 is in section 6.1, its NYU "
            "of 61.00 in table 5. Random AlexNet conv5 features have a top-5 of 27.1.",
            _RP_NOTE,
            "The paper prints NYU of Ex as 69.57 (table 1) and 71.25 (table 5).",
            "Earlier results, with the paper's reference numbers: [7] Doersch et al. "
            "2015, [27] Pathak et al. 2017, [34] Ren et al. 2015, [46] Zhang et al. 2016.",
        ),
        printed={
            "RP": "Relative Position",
            "Col": "Color",
            "Ex": "Exemplar",
            "MS": "Motion Segmentation",
        },
    ),
    PaperTable(
        number=2,
        title="Combinations of self-supervised tasks",
        metrics=(TOP5, PASCAL, PASCAL_STRICT, NYU),
        rows={
            "RP": "59.21 66.75 - 80.54",
            "RP+Col": "66.64 68.75 - 79.87",
            "RP+Ex": "65.24 69.44 - 78.70",
            "RP+MS": "63.73 68.81 - 78.72",
            "RP+Col+Ex": "68.65 69.48 - 80.17",
            rows.ALL_TASKS: "69.30 70.53 43.91 79.25",
            rows.LABELS: "85.10 74.17 44.27 80.06",
        },
        reference="RP",
        notes=(
            "mAP at an overlap of .75 is not in the table: section 6.2 has 43.91 for all "
            "four tasks and 44.27 for ImageNet labels.",
            _RP_NOTE,
            "The paper prints NYU of RP+Col as 79.87 (tables 2, 3) and 79.88 (6, 7), and "
            "that of RP+Col+Ex+MS as 79.25 (tables 2, 4) and 79.26 (6, 8).",
        ),
    ),
    PaperTable(
        number=3,
        title="With and without harmonised inputs (H)",
        metrics=_MAIN,
        rows={
            "RP": "59.21 66.75 80.23",
            "RP / H": "62.33 66.15 80.39",
            "RP+Col": "66.64 68.75 79.87",
            "RP+Col / H": "68.08 68.26 79.69",
        },
        reference="RP",
        notes=(_RP_NOTE,),
    ),
    PaperTable(
        number=4,
        title="With and without the lasso",
        metrics=_MAIN,
        rows={
            rows.ALL_TASKS: "69.30 70.53 79.25",
            rows.EVALUATION_LASSO: "70.18 68.86 79.41",
            rows.PRETRAINING_LASSO: "68.09 68.49 78.96",
            rows.BOTH_LASSO: "69.44 68.98 79.45",
        },
        reference=rows.ALL_TASKS,
        notes=("The paper calls the first row No Lasso.",),
        printed={rows.ALL_TASKS: "No Lasso"},
    ),
    PaperTable(
        number=5,
        title="Depth prediction, single tasks (extends table 1)",
        metrics=_DEPTH,
        rows={
            "RP": _RP_DEPTH,
            "Col": "76.79 93.52 97.74 0.444 0.164",
            "Ex": "71.25 90.63 96.54 0.513 0.191",
            "MS": "74.24 92.42 97.43 0.473 0.177",
            rows.LABELS: "80.06 94.87 98.45 0.403 0.146",
            rows.RANDOM: "61.00 85.45 94.67 0.621 0.227",
        },
        reference=rows.RANDOM,
        notes=(
            _RP_NOTE,
            "The paper prints NYU of Ex as 69.57 (table 1) and 71.25 (table 5).",
        ),
        printed={
            "RP": "Rel. Pos.",
            "Col": "Color",
            "Ex": "Exemplar",
            "MS": "Mot. Seg.",
        },
    ),
    PaperTable(
        number=6,
        title="Depth prediction, combinations (extends table 2)",
        metrics=_DEPTH,
        rows={
            "RP": _RP_DEPTH,
            "RP+Col": _RP_COL_DEPTH,
            "RP+Ex": "78.70 94.06 98.13 0.419 0.151",
            "RP+MS": "78.72 94.13 98.08 0.423 0.153",
            "RP+Col+Ex": "80.17 94.74 98.27 0.401 0.149",
            rows.ALL_TASKS: "79.26 94.19 98.07 0.422 0.152",
        },
        reference="RP",
        notes=(_RP_NOTE,),
    ),
    PaperTable(
        number=7,
        title="Depth prediction, harmonised inputs (extends table 3)",
        metrics=_DEPTH,
        rows={
            "RP": _RP_DEPTH,
            "RP / H": "80.39 94.67 98.31 0.400 0.147",
            "RP+Col": _RP_COL_DEPTH,
            "RP+Col / H": "79.69 94.28 98.09 0.411 0.152",
        },
        reference="RP",
        notes=(_RP_NOTE,),
    ),
    PaperTable(
        number=8,
        title="Depth prediction, the lasso (extends table 4)",
        metrics=_DEPTH,
        rows={
            rows.ALL_TASKS: "79.26 94.19 98.07 0.422 0.152",
            rows.EVALUATION_LASSO: "79.41 94.18 98.07 0.418 0.152",
            rows.PRETRAINING_LASSO: "78.96 94.05 97.83 0.423 0.153",
            rows.BOTH_LASSO: "79.45 94.49 98.26 0.411 0.151",
        },
        reference=rows.ALL_TASKS,
        printed={rows.ALL_TASKS: "No Lasso", rows.BOTH_LASSO: "Lasso"},
    ),
)


def gain(row: str, base: str, metric: Metric) -> float | None:
    """Returns how much better `row` is than `base` in the paper, or None.

    Both numbers are of the first table that has both. If none has, each is of the first
    table that has it. A gain is positive where `row` is better.
    """
    printed = [
        (table.printed_number(row, metric), table.printed_number(base, metric))
        for table in TABLES
    ]
    number, other = next(
        (pair for pair in printed if all(pair)),
        (
            next((number for number, _ in printed if number), ""),
            next((other for _, other in printed if other), ""),
        ),
    )
    if not (number and other):
        return None
    difference = float(number) - float(other)
    return difference if metric.higher_is_better else -difference
