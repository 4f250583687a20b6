"""Fine-tunes a trunk to predict depth and measures it (paper section 5).

A built set with depth (python -m data_prep.nyuv2) and a trunk go in: up-projections on
block 3 are trained with it on the train split and tested on the test split. metrics.json
with the five measures of appendix A, predictions.npz, pictures, curves and checkpoints
come out.

The paper's level needs some 12 thousand frames of the raw distribution (data_prep.nyuv2
--raw) beside the 795 labelled ones: --data is then a folder that holds both sets. The
preset gives epochs, so the steps follow from the frames that are there; --steps or
--set=epochs=NUMBER changes them.

  python -m eval.nyuv2_depth --trunk=DIR --data=DIR --output=DIR --preset=tiny

What is compared:     --trunk --checkpoint --lasso
What goes in and out: --data --output
How it is trained:    --preset --set --steps --seed --mixed_precision
"""

from absl import flags

from eval import evaluation_flags
from selfsup.command_line import command

flags.adopt_module_key_flags(evaluation_flags)


def main(_):
    """Reads the flags, evaluates and prints the metrics."""
    from eval import evaluation_run
    from eval.nyuv2_depth import config, evaluation

    settings = evaluation_flags.settings(config.Config, config.PRESETS)
    evaluation_run.run_and_tell(settings, evaluation.evaluate)


def run():
    """Entry point of the console command."""
    command.run(main, "eval.nyuv2_depth.__main__")


if __name__ == "__main__":
    run()
