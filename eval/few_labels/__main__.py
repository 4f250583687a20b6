"""Fine-tunes a trunk on 1%, 10% and 100% of the labels of a set and tests each result.

  python -m eval.few_labels --trunk=DIR --data=DIR --output=DIR --preset=tiny

The data is a labelled set of photos (python -m data_prep.imagenet, or data_prep.photos
with --labels=folders). For each share of the labels, the command starts from the trunk
again and trains all weights and a linear layer. It tests on one centre crop of each photo
of the split validation (or test, if the set has no validation) and reports top-1 and top-5
accuracy for each share. Run the same command again to resume an interrupted evaluation.
docs/evaluations/few_labels.md has the details.

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

    evaluation = registry.evaluation_class("few_labels")
    settings = evaluation_flags.settings(evaluation)
    evaluation_run.run_and_print(evaluation, settings)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.few_labels.__main__")


if __name__ == "__main__":
    run()
