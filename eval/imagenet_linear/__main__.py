"""Trains one linear layer on a frozen trunk's block 3 and tests it (paper section 5).

  python -m eval.imagenet_linear --trunk=DIR --data=DIR --output=DIR [--preset=tiny]

Takes a labelled set of photos (data_prep.imagenet, or data_prep.photos with
--labels=folders). Trains layers at a ladder of learning rates on its split train, chooses
among them by training photos held out, tests on single centre crops of validation,
or of test where there is no validation: top-1 and top-5 accuracy, nearest neighbours on
the same features, and with --set=probe_units=true a linear layer on each unit of block 3.
Running the same command again goes on where an interrupted one stopped.
docs/evaluations/imagenet_linear.md says more.
"""

from absl import flags

from eval import evaluation_flags
from selfsup.command_line import command

flags.adopt_module_key_flags(evaluation_flags)


def main(_):
    """Reads the flags, evaluates and prints the metrics."""
    from eval import evaluation_run
    from eval.imagenet_linear import config, evaluation

    settings = evaluation_flags.settings(config.Config, config.PRESETS)
    evaluation_run.run_and_tell(settings, evaluation.evaluate)


def run():
    """Entry point of the console command."""
    command.run(main, "eval.imagenet_linear.__main__")


if __name__ == "__main__":
    run()
