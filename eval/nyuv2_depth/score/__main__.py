"""Scores predicted depth, anyone's, by the five measures of the paper's appendix A.

    python -m eval.nyuv2_depth.score --predictions=FILE.npz --truth=FILE.npz

Each file has the array "depths", float [N, H, W] in metres, and may have "keys", N names
by which the two are matched (by order otherwise). Where the truth is 0 or NaN it is
unknown. Predictions of another size are resized to the truth's. Every known pixel of the
set counts the same.
"""

import json
import sys

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_PREDICTIONS = path_flags.define_path("predictions", None, ".npz file of predictions.")
_TRUTH = path_flags.define_path("truth", None, ".npz file of the true depths.")
_CROP = flags.DEFINE_enum(
    "crop",
    "none",
    ["none", "eigen"],
    "eigen: measure the 427x561 pixels of Eigen et al. alone; for 480x640.",
)
_MIN_DEPTH = flags.DEFINE_float(
    "min_depth", None, "Metres that smaller predictions are raised to.", lower_bound=0
)
_MAX_DEPTH = flags.DEFINE_float(
    "max_depth", None, "Metres that larger predictions are lowered to.", lower_bound=0
)
_OUTPUT = path_flags.define_path("output", None, "JSON file to write as well.")


def main(argv):
    del argv
    low, high = _MIN_DEPTH.value, _MAX_DEPTH.value
    if None not in (low, high) and low > high:
        raise UserError(f"--min_depth={low:g}: is more than --max_depth={high:g}")
    from eval.nyuv2_depth.score import scoring
    from selfsup.common import files

    report, notes = scoring.score(
        _PREDICTIONS.value,
        _TRUTH.value,
        crop=_CROP.value,
        min_depth=low,
        max_depth=high,
    )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(scoring.table(report))
    if _OUTPUT.value:
        try:
            files.write_atomically(_OUTPUT.value, json.dumps(report, indent=1))
        except OSError as error:
            raise UserError(f"--output={_OUTPUT.value}: {error}") from error


def run():
    flags.mark_flags_as_required(["predictions", "truth"])
    command.run(main, "eval.nyuv2_depth.score.__main__")


if __name__ == "__main__":
    run()
