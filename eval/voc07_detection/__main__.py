"""Fine-tunes a trunk to detect objects and scores it (paper section 5).

A built set with boxes (python -m data_prep.voc07) and a trunk go in: Faster R-CNN with
block 4 as its box head is trained on trainval and tested on test. metrics.json, VOC
result files, pictures, curves and checkpoints come out.

  python -m eval.voc07_detection --trunk=DIR --data=DIR --output=DIR --preset=tiny

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
    from eval.voc07_detection import config, evaluation

    settings = evaluation_flags.settings(config.Config, config.PRESETS)
    evaluation_run.run_and_tell(settings, evaluation.evaluate)


def run():
    """Entry point of the console command."""
    command.run(main, "eval.voc07_detection.__main__")


if __name__ == "__main__":
    run()
