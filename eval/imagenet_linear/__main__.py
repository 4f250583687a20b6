"""Trains linear layers on the last unit of a frozen trunk and tests them (paper section 5).

  python -m eval.imagenet_linear --trunk=DIR --data=DIR --output=DIR [--preset=tiny]

The data is a labelled set of photos (python -m data_prep.imagenet, or data_prep.photos
with --labels=folders). The command trains one layer per learning rate on the split
train, chooses the learning rate on held-out training photos, and tests on one centre crop
of each photo of the split validation (or test, if the set has no validation). It reports
top-1 and top-5 accuracy, the accuracy of nearest neighbours on the same features, and,
with --set=probe_units=true, the accuracy of a linear layer on each unit of the trunk.
Run the same command again to resume an interrupted evaluation.
docs/evaluations/imagenet_linear.md has the details.

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

    evaluation = registry.evaluation_class("imagenet_linear")
    settings = evaluation_flags.settings(evaluation)
    evaluation_run.run_and_print(evaluation, settings)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.imagenet_linear.__main__")


if __name__ == "__main__":
    run()
