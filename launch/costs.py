"""Prints what a step of each task computes, what it costs, and the memory that it needs.

This command trains nothing and reads no data. It counts the operations and buffers in
the graphs of the configured networks.

  python -m launch.costs --preset=paper
"""

from __future__ import annotations

from absl import flags

from selfsup import tasks, trunk
from selfsup.command_line import command
from selfsup.pretraining import presets

_TASKS = flags.DEFINE_list(
    "tasks",
    list(presets.DEFAULT_TASKS),
    f"Tasks to count, of: {', '.join(tasks.REGISTRY)}.",
)
_PRESET = flags.DEFINE_enum(
    "preset", "paper", list(presets.PRESETS), "Hyperparameters."
)
_TASK_SET = flags.DEFINE_multi_string(
    "task_set",
    [],
    "TASK.KEY=VALUE: sets a field of a task's configuration; may be repeated.",
)
_TRUNK_SET = flags.DEFINE_multi_string(
    "trunk_set",
    [],
    "KEY=VALUE: sets a field of the trunk's configuration; may be repeated. Kinds of "
    f"trunks and their depths: {trunk.describe()}.",
)
_MIXED_PRECISION = flags.DEFINE_bool(
    "mixed_precision", False, "Compute trunk and heads in bfloat16."
)
_GIGABYTES = flags.DEFINE_list(
    "gigabytes", ["12", "24", "80"], "Memory sizes of devices, in GB."
)


def main(_: list[str]) -> None:
    """Reads the flags and prints the tables."""
    from selfsup.common import overrides
    from selfsup.pretraining import configuration, cost_tables

    config = configuration.resolve(
        _PRESET.value,
        _TASKS.value,
        task_overrides=_TASK_SET.value,
        trunk_overrides=_TRUNK_SET.value,
        mixed_precision=_MIXED_PRECISION.value,
    )
    sizes = [
        overrides.parse(text, float, f"--gigabytes={text}") for text in _GIGABYTES.value
    ]
    rows = []
    for name in config.tasks:
        rows.append(cost_tables.count_task(config, name))
        print(f"counted: {name}", flush=True)
    print(cost_tables.cost_table(rows))
    print(cost_tables.memory_table(rows, sizes))


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "launch.costs")


if __name__ == "__main__":
    run()
