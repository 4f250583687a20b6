"""Scores the detections of any detector as the PASCAL VOC devkit does.

    python -m eval.voc07_detection.score --devkit=VOCdevkit --set=test --results=DIR

DIR holds one file per class, such as comp3_det_test_dog.txt, with one detection per line:
image, confidence, xmin, ymin, xmax, ymax, in pixels counted from 1, the last pixel
included. Prints the average precision of each class and their mean, in percent.
"""

from __future__ import annotations

import math

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_DEVKIT = path_flags.define_path(
    "devkit",
    None,
    "VOCdevkit, or the folder of a year in it, as the tars extract it.",
    required=True,
)
_YEAR = flags.DEFINE_string(
    "year",
    "",
    "VOC2007 or another folder of the devkit; required if there are several.",
)
_SET = flags.DEFINE_string(
    "set",
    "test",
    "Name of a list in ImageSets/Main, which is part of the names of the result files.",
)
_RESULTS = path_flags.define_path(
    "results", None, "Folder of the result files.", required=True
)
_COMPETITION = flags.DEFINE_string(
    "competition", "comp3", "Start of the names of the result files."
)
_IOU = flags.DEFINE_list(
    "iou",
    ["0.5", "0.75"],
    "Smallest intersections over union of a hit; one mean average precision for each.",
)
_METRIC = flags.DEFINE_enum(
    "metric",
    "voc07",
    ["voc07", "voc07_exact", "area"],
    "voc07: mean of the precisions at 11 recalls (VOC until 2009), to the last digit as "
    "published tools compute it; voc07_exact: the same without their rounding of the "
    "recalls 0.3, 0.6 and 0.7; area: area under the curve (VOC from 2010).",
)
_OUTPUT = path_flags.define_path("output", None, "JSON file to write the report to.")


def main(argv: list[str]) -> None:
    """Scores the result files and prints the report."""
    del argv
    ious = [_threshold(text) for text in _IOU.value]
    if not ious:
        raise UserError("--iou: expected numbers such as 0.5,0.75")
    from eval import score_output
    from eval.voc07_detection.score import scoring

    report, notes = scoring.score(
        _DEVKIT.value,
        _SET.value,
        _RESULTS.value,
        ious=ious,
        metric=_METRIC.value,
        year=_YEAR.value,
        competition=_COMPETITION.value,
    )
    score_output.publish(report, scoring.table(report), notes, _OUTPUT.value)


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise UserError(f"--iou={text}: expected numbers greater than 0 and at most 1")
    return value


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.voc07_detection.score.__main__")


if __name__ == "__main__":
    run()
