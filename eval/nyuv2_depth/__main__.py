"""Fine-tunes a trunk to predict depth and measures the errors (paper section 5).

  python -m eval.nyuv2_depth --trunk=DIR --data=DIR --output=DIR --preset=tiny

The data is a built set with depth (python -m data_prep.nyuv2). The command trains the
trunk and up-projections on its last unit on the split train and tests on the split test. It
writes metrics.json with the five measures of appendix A, predictions.npz, pictures,
curves and checkpoints. Run the same command again to resume an interrupted evaluation.

To reach the accuracy of the paper, train on the 12 thousand frames of the raw
distribution (data_prep.nyuv2 --raw) besides the 795 labelled ones: --data is then a
folder that holds both sets. The preset gives the number of epochs, so the number of steps
follows from the number of frames; --steps or --set=epochs=NUMBER changes it.

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

    evaluation = registry.evaluation_class("nyuv2_depth")
    settings = evaluation_flags.settings(evaluation)
    evaluation_run.run_and_print(evaluation, settings)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.nyuv2_depth.__main__")


if __name__ == "__main__":
    run()
