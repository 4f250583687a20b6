"""Prints what a step of each task computes, what it costs, and the memory that it needs.

This command trains nothing and reads no data. It counts the operations and buffers in
the graphs of the configured networks.

  python -m launch.costs --preset=paper
"""

from __future__ import annotations

from absl import flags

from launch import network_flags
from selfsup.command_line import command

flags.adopt_module_key_flags(network_flags)
_GIGABYTES = flags.DEFINE_list(
    "gigabytes", ["12", "24", "80"], "Memory sizes of devices, in GB."
)


def main(_: list[str]) -> None:
    """Reads the flags and prints the tables."""
    from selfsup.common import overrides
    from selfsup.pretraining import cost_tables

    config = network_flags.resolve()
    sizes = [
        overrides.parse(text, float, f"gigabytes={text}") for text in _GIGABYTES.value
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
