"""Scores detections, anyone's, as the PASCAL VOC devkit does.

    python -m eval.voc07_detection.score --devkit=VOCdevkit --set=test --results=DIR

DIR holds a file for each class, comp3_det_test_dog.txt, with a detection a line: image,
confidence, xmin, ymin, xmax, ymax, in pixels counted from 1, the last one included.
Prints the average precision of each class and their mean, in percent.
"""

import json
import math
import sys

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_DEVKIT = path_flags.define_path(
    "devkit", None, "VOCdevkit, or a year's folder in it; the tars extracted."
)
_YEAR = flags.DEFINE_string(
    "year", "", "VOC2007 or another folder of the devkit; needed if there are several."
)
_SET = flags.DEFINE_string(
    "set", "test", "Name of a list in ImageSets/Main; the files are named after it."
)
_RESULTS = path_flags.define_path("results", None, "Folder of the result files.")
_COMPETITION = flags.DEFINE_string(
    "competition", "comp3", "What the names of the files begin with."
)
_IOU = flags.DEFINE_list(
    "iou",
    ["0.5", "0.75"],
    "Least intersections over union of a hit; one mean average precision for each.",
)
_METRIC = flags.DEFINE_enum(
    "metric",
    "voc07",
    ["voc07", "voc07_exact", "area"],
    "voc07: mean of precisions at 11 recalls (VOC to 2009), to the last digit as "
    "published tools compute it; voc07_exact: the same without their rounding of the "
    "recalls 0.3, 0.6 and 0.7; area: area under the curve (VOC from 2010).",
)
_OUTPUT = path_flags.define_path("output", None, "JSON file to write as well.")


def main(argv):
    del argv
    ious = [_threshold(text) for text in _IOU.value]
    if not ious:
        raise UserError("--iou: expected numbers such as 0.5,0.75")
    from eval.voc07_detection.score import scoring
    from selfsup.common import files

    report, notes = scoring.score(
        _DEVKIT.value,
        _SET.value,
        _RESULTS.value,
        ious=ious,
        metric=_METRIC.value,
        year=_YEAR.value,
        competition=_COMPETITION.value,
    )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(scoring.table(report))
    if _OUTPUT.value:
        try:
            files.write_atomically(_OUTPUT.value, json.dumps(report, indent=1))
        except OSError as error:
            raise UserError(f"--output={_OUTPUT.value}: {error}") from error


def _threshold(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise UserError(f"--iou={text}: expected numbers over 0 and at most 1")
    return value


def run():
    flags.mark_flags_as_required(["devkit", "results"])
    command.run(main, "eval.voc07_detection.score.__main__")


if __name__ == "__main__":
    run()
