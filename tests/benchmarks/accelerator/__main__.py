"""Writes training steps as HLO for `tests.benchmarks.accelerator.timing`.

  python -m tests.benchmarks.accelerator --output=DIR [--preset=paper]

Writes a step of the trunk for each size of a batch, precision, and form (phases, plain
dilation), and the whole step of each task: trunk, head, loss, weight decay, and RMSProp
over all its variables. What XLA does not compile stays outside: the input pipeline, and
the preprocessing of a batch, which has a projective warp. TensorFlow's results are stored
beside the first batch size of the trunk, and beside the tasks with --compare_tasks.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib

from absl import flags

from selfsup import tasks
from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

_OUTPUT = path_flags.define_path(
    "output", None, "Folder for the steps; created.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset", "paper", list(presets.PRESETS), "Hyperparameters."
)
_TASKS = flags.DEFINE_list(
    "tasks",
    list(presets.DEFAULT_TASKS),
    f"Tasks whose whole steps are written, of: {', '.join(tasks.REGISTRY)}.",
)
_TASK_SET = flags.DEFINE_multi_string(
    "task_set", [], "TASK.KEY=VALUE: overrides a task's config field; may be repeated."
)
_BATCHES = flags.DEFINE_list(
    "batches", ["8", "64", "256"], "Images of the trunk's steps."
)
_SIZE = flags.DEFINE_integer("size", 96, "Side of the trunk's images.", lower_bound=8)
_PRECISIONS = flags.DEFINE_list(
    "precisions", ["float32", "bfloat16"], "Precisions of all steps."
)
_COMPARE_TASKS = flags.DEFINE_bool(
    "compare_tasks",
    False,
    "Compute the tasks' steps with TensorFlow, too. At the paper's sizes this takes "
    "minutes and gigabytes.",
)


def main(_: list[str]) -> None:
    """Writes the steps."""
    from selfsup.pretraining import configuration
    from tests.benchmarks.accelerator import export

    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for precision, phases in itertools.product(_PRECISIONS.value, (True, False)):
        config = configuration.resolve(
            _PRESET.value,
            _TASKS.value,
            task_overrides=_TASK_SET.value,
            mixed_precision=precision == "bfloat16",
        )
        trunk = dataclasses.replace(config.trunk, phases=phases)
        config = dataclasses.replace(config, trunk=trunk)
        for number, batch in enumerate(map(int, _BATCHES.value)):
            step = export.write_trunk(trunk, batch, _SIZE.value, folder, number == 0)
            print(step.name, flush=True)
        for name in config.tasks:
            step = export.write_task(config, name, folder, _COMPARE_TASKS.value)
            print(step.name, flush=True)


def run() -> None:
    """Entry point of the command."""
    command.run(main, "tests.benchmarks.accelerator.__main__")


if __name__ == "__main__":
    run()
