"""Fine-tunes a trunk to predict surface normals and measures the angles (section 7).

  python -m eval.nyuv2_normals --trunk=DIR --data=DIR --output=DIR --preset=tiny

The data is a built set with depth (python -m data_prep.nyuv2, best with --depth=raw), from
which the true normals are computed by fitting planes. The command trains the trunk and
up-projections on its last unit on the split train and tests on the split test. It writes
metrics.json with the mean and median angle and the shares of pixels within 11.25, 22.5 and
30 degrees, predictions.npz, pictures, curves and checkpoints. Run the same command again
to resume an interrupted evaluation. docs/evaluations/nyuv2_normals.md has the details.

What is compared:  --trunk --checkpoint --lasso
Input and output:  --data --output
Training:          --preset --set --steps --seed --mixed_precision
"""

from __future__ import annotations

from absl import flags

from eval import evaluation_flags
from selfsup.command_line import command

flags.adopt_module_key_flags(evaluation_flags)


def main(_: list[str]) -> None:
    """Runs the evaluation and prints its metrics."""
    from eval import evaluation_run, registry

    evaluation = registry.evaluation_class("nyuv2_normals")
    settings = evaluation_flags.settings(evaluation)
    evaluation_run.run_and_print(evaluation, settings)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.nyuv2_normals.__main__")


if __name__ == "__main__":
    run()
