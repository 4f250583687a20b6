"""Fine-tunes a trunk to predict depth and measures it (paper section 5).

A built set with depth (python -m data_prep.nyuv2) and a trunk go in: up-projections on
block 3 are trained with it on the train split and tested on the test split. metrics.json
with the five measures of appendix A, predictions.npz, pictures, curves and checkpoints
come out.

  python -m eval.nyuv2_depth --trunk=DIR --data=DIR --output=DIR --preset=tiny

What is compared:     --trunk --checkpoint --lasso
What goes in and out: --data --output
How it is trained:    --preset --set --steps --seed --mixed_precision
"""

from absl import flags

from eval import evaluation_flags
from selfsup import command

flags.adopt_module_key_flags(evaluation_flags)


def main(_):
    """Reads the flags and runs."""
    from eval.nyuv2_depth import config, evaluation

    settings = evaluation_flags.settings(config.Config, config.PRESETS)
    metrics, said = evaluation.run(settings)
    if metrics is None:
        print(f"stopped by {said} after a checkpoint; the same command goes on")
        return
    print(f"{settings.output}: {'finished before' if said else 'done'}")
    for name, value in metrics["metrics"].items():
        print(f"  {name}: {value:.4f}")


def run():
    """Entry point of the console command."""
    command.run(main, "eval.nyuv2_depth.__main__")


if __name__ == "__main__":
    run()
