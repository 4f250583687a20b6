"""Runs the three evaluations on a made-up world, without a download.

  python -m launch.demo_evaluations --output=DIR

Renders a small world, builds its data sets, pretrains a tiny trunk on its photos and
videos, and evaluates it and a random trunk, with the same settings: linear
classification, detection, depth (section 5 of the paper). Each command is printed before
it runs. A second run goes on where an interrupted one stopped. A seed is one of the
pretraining, the random trunk and the evaluations alike.
"""

import os
import sys
import time

from absl import flags

from launch.demonstration import command_runner
from selfsup.command_line import command, path_flags

_OUTPUT = path_flags.define_path(
    "output", "demo-evaluations-output", "Folder for everything made."
)
_STEPS = flags.DEFINE_integer(
    "steps", 150, "Pretraining steps of each task.", lower_bound=1
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 1, "Runs of all with seeds from 0 on, from one world.", lower_bound=1
)
_SHORT = flags.DEFINE_boolean(
    "short", True, "Train for fewer steps than the presets do."
)

# Evaluation: the folder of the data set that it is made on.
EVALUATIONS = {
    "imagenet_linear": "imagenet",
    "voc07_detection": "voc07",
    "nyuv2_depth": "nyuv2",
}
# With --short, to be done within minutes.
_SHORT_STEPS = {"imagenet_linear": 100, "voc07_detection": 400, "nyuv2_depth": 200}


def main(_):
    """Runs the steps one after the other."""
    start = time.monotonic()
    output = _OUTPUT.value
    data = os.path.join(output, "data")
    _build(os.path.join(output, "world"), data)
    for seed in range(_SEEDS.value):
        trunks = {
            "pretrained": _pretrain(output, data, _STEPS.value, seed),
            "random": "random",
        }
        for name in EVALUATIONS:
            for source, trunk in trunks.items():
                target = _target(output, name, source, seed)
                _evaluate(name, data, trunk, seed, target, _SHORT.value)
    print(f"\nDone in {(time.monotonic() - start) / 60:.1f} minutes.\n")
    _compare(output, list(trunks), _SEEDS.value)


def _build(world, data):
    command_runner.run("data_prep.synthetic", output=world)
    command_runner.run(
        "data_prep.imagenet",
        train=os.path.join(world, "imagenet", "train"),
        validation=os.path.join(world, "imagenet", "val"),
        output=os.path.join(data, "imagenet"),
    )
    command_runner.run(
        "data_prep.videos",
        input=os.path.join(world, "videos"),
        output=os.path.join(data, "videos"),
    )
    command_runner.run(
        "data_prep.voc07",
        input=os.path.join(world, "VOCdevkit"),
        classes="found",
        output=os.path.join(data, "voc07"),
    )
    command_runner.run(
        "data_prep.nyuv2",
        labelled=os.path.join(world, "nyu", "nyu_depth_v2_labeled.mat"),
        splits=os.path.join(world, "nyu", "splits.mat"),
        output=os.path.join(data, "nyuv2"),
    )


def _pretrain(output, data, steps, seed):
    """Returns the folder of the exported trunk."""
    from selfsup.pretraining import reporter

    model_dir = os.path.join(output, f"run-{seed}")
    trunk = os.path.join(output, f"trunk-{seed}")
    command_runner.run(
        "launch.pretrain",
        data=data,
        model_dir=model_dir,
        preset="tiny",
        steps=steps,
        seed=seed,
        harmonize=True,
        checkpoint_seconds=60,
    )
    if not os.path.exists(os.path.join(model_dir, reporter.VALIDATION_FILE)):
        sys.exit("pretraining was stopped; the same command goes on")
    command_runner.run(
        "launch.export", model_dir=model_dir, output=trunk, overwrite=True
    )
    return trunk


def _target(output, name, source, seed):
    return os.path.join(output, name, f"{source}-{seed}")


def _evaluate(name, data, trunk, seed, target, short):
    from eval import metrics_file

    more = {"steps": _SHORT_STEPS[name]} if short and name in _SHORT_STEPS else {}
    command_runner.run(
        f"eval.{name}",
        trunk=trunk,
        data=os.path.join(data, EVALUATIONS[name]),
        output=target,
        preset="tiny",
        seed=seed,
        **more,
    )
    if not os.path.exists(os.path.join(target, metrics_file.FILE_NAME)):
        sys.exit("an evaluation was stopped; the same command goes on")


def _compare(output, sources, seeds):
    """Prints each evaluation's metrics, one column a trunk.

    Of several seeds the mean and, in brackets, the standard deviation of the sample.
    """
    import numpy as np

    from eval import metrics_file

    rows = []
    for name in EVALUATIONS:
        values = {
            source: [
                metrics_file.read(_target(output, name, source, seed))
                for seed in range(seeds)
            ]
            for source in sources
        }
        for metric in values["random"][0]["metrics"]:
            cells = [
                _spread(np.array([one["metrics"][metric] for one in values[source]]))
                for source in sources
            ]
            rows.append([f"{name} {metric}", *cells])
    _print_table(["metric", *sources], rows)


def _spread(values):
    text = f"{values.mean():.4f}"
    return text if len(values) == 1 else f"{text} ({values.std(ddof=1):.4f})"


def _print_table(head, rows):
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def run():
    """Entry point of the console command."""
    command.run(main, "launch.demo_evaluations")


if __name__ == "__main__":
    run()
