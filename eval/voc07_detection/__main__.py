"""Fine-tunes a trunk to detect objects and scores the detections (paper section 5).

  python -m eval.voc07_detection --trunk=DIR --data=DIR --output=DIR --preset=tiny

The data is a built set with boxes (python -m data_prep.voc07). The command trains Faster
R-CNN with block 4 as its box head on the splits train and validation and tests on the
split test. It writes metrics.json, VOC result files, pictures, curves and checkpoints.
Run the same command again to resume an interrupted evaluation.

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

    evaluation = registry.evaluation_class("voc07_detection")
    settings = evaluation_flags.settings(evaluation)
    evaluation_run.run_and_print(evaluation, settings)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "eval.voc07_detection.__main__")


if __name__ == "__main__":
    run()
