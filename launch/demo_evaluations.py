"""Runs the three evaluations of the paper's section 5 on synthetic data.

  python -m launch.demo_evaluations --output=DIR

The demo renders a small synthetic world and builds its data sets, so it downloads
nothing. It pretrains a tiny trunk on photos and videos of this world. Then it evaluates
this trunk and a random trunk with the same settings: linear classification, detection,
depth. Each command is printed before it runs. Run the demo again to resume it after an
interruption. A seed is used for the pretraining, the random trunk and the evaluations.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from launch.pipeline import commands
from selfsup.command_line import command, path_flags

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OUTPUT = path_flags.define_path(
    "output", "demo-evaluations-output", "Folder for all results."
)
_STEPS = flags.DEFINE_integer(
    "steps", 150, "Pretraining steps of each task.", lower_bound=1
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    1,
    "How often to run everything on the same world, with seeds from 0 on.",
    lower_bound=1,
)
_SHORT = flags.DEFINE_boolean(
    "short", True, "Train for fewer steps than the presets say."
)

# The folder of the data set of each evaluation.
EVALUATIONS = {
    "imagenet_linear": "imagenet",
    "voc07_detection": "voc07",
    "nyuv2_depth": "nyuv2",
}
# Steps with --short, for results within minutes.
_SHORT_STEPS = {"imagenet_linear": 100, "voc07_detection": 400, "nyuv2_depth": 200}


def main(_: list[str]) -> None:
    """Runs the commands one after the other."""
    start = time.monotonic()
    output = _OUTPUT.value
    data = os.path.join(output, "data")
    _build_data(os.path.join(output, "world"), data)
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


def _build_data(world: str, data: str) -> None:
    commands.run("data_prep.synthetic", output=world)
    commands.run(
        "data_prep.imagenet",
        train=os.path.join(world, "imagenet", "train"),
        validation=os.path.join(world, "imagenet", "val"),
        output=os.path.join(data, "imagenet"),
    )
    commands.run(
        "data_prep.videos",
        input=os.path.join(world, "videos"),
        output=os.path.join(data, "videos"),
    )
    commands.run(
        "data_prep.voc07",
        input=os.path.join(world, "VOCdevkit"),
        classes="found",
        output=os.path.join(data, "voc07"),
    )
    commands.run(
        "data_prep.nyuv2",
        labelled=os.path.join(world, "nyu", "nyu_depth_v2_labeled.mat"),
        splits=os.path.join(world, "nyu", "splits.mat"),
        output=os.path.join(data, "nyuv2"),
    )


def _pretrain(output: str, data: str, steps: int, seed: int) -> str:
    """Pretrains and exports a trunk; returns the folder of the export."""
    from selfsup.pretraining import reporter

    model_dir = os.path.join(output, f"run-{seed}")
    trunk = os.path.join(output, f"trunk-{seed}")
    commands.run(
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
        sys.exit("pretraining was stopped; run the same command again to resume")
    commands.run("launch.export", model_dir=model_dir, output=trunk, overwrite=True)
    return trunk


def _target(output: str, name: str, source: str, seed: int) -> str:
    return os.path.join(output, name, f"{source}-{seed}")


def _evaluate(
    name: str, data: str, trunk: str, seed: int, target: str, short: bool
) -> None:
    from eval import metrics_file

    steps = {"steps": _SHORT_STEPS[name]} if short else {}
    commands.run(
        f"eval.{name}",
        trunk=trunk,
        data=os.path.join(data, EVALUATIONS[name]),
        output=target,
        preset="tiny",
        seed=seed,
        **steps,
    )
    if not os.path.exists(os.path.join(target, metrics_file.FILE_NAME)):
        sys.exit("an evaluation was stopped; run the same command again to resume")


def _compare(output: str, sources: Sequence[str], seeds: int) -> None:
    """Prints the metrics of each evaluation, with a column for each trunk.

    With several seeds it prints the mean and, in brackets, the sample standard deviation.
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
                _mean_and_deviation(
                    np.array([run["metrics"][metric] for run in values[source]])
                )
                for source in sources
            ]
            rows.append([f"{name} {metric}", *cells])
    _print_table([["metric", *sources], *rows])


def _mean_and_deviation(values: npt.NDArray[np.float64]) -> str:
    text = f"{values.mean():.4f}"
    return text if len(values) == 1 else f"{text} ({values.std(ddof=1):.4f})"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.demo_evaluations")


if __name__ == "__main__":
    run()
