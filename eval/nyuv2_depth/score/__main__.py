"""Scores the predicted depth of any model by the five measures of the paper's appendix A.

    python -m eval.nyuv2_depth.score --predictions=FILE.npz --truth=FILE.npz

Each file has the array "depths", float [N, H, W] in metres, and may have "keys", N names
by which predictions and truth are matched (otherwise by order). True depths of 0 or NaN
are unknown. Predictions of another size are resized to the size of the truth. Every known
pixel of the set has the same weight.
"""

from __future__ import annotations

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_PREDICTIONS = path_flags.define_path(
    "predictions", None, ".npz file of predictions.", required=True
)
_TRUTH = path_flags.define_path(
    "truth", None, ".npz file of the true depths.", required=True
)
_CROP = flags.DEFINE_enum(
    "crop",
    "none",
    ["none", "eigen"],
    "eigen: measure only the 427x561 pixels of Eigen et al., of 480x640.",
)
_MIN_DEPTH = flags.DEFINE_float(
    "min_depth", None, "Raise smaller predictions to this, in metres.", lower_bound=0
)
_MAX_DEPTH = flags.DEFINE_float(
    "max_depth", None, "Lower larger predictions to this, in metres.", lower_bound=0
)
_OUTPUT = path_flags.define_path("output", None, "JSON file to write the report to.")


def main(argv: list[str]) -> None:
    """Scores the predictions and prints the report."""
    del argv
    low, high = _MIN_DEPTH.value, _MAX_DEPTH.value
    if low is not None and high is not None and low > high:
        raise UserError(f"--min_depth={low:g}: is greater than --max_depth={high:g}")
    from eval import score_output
    from eval.nyuv2_depth.score import scoring

    report, notes = scoring.score(
        _PREDICTIONS.value,
        _TRUTH.value,
        crop=_CROP.value,
        min_depth=low,
        max_depth=high,
    )
    score_output.publish(report, scoring.table(report), notes, _OUTPUT.value)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.nyuv2_depth.score.__main__")


if __name__ == "__main__":
    run()
