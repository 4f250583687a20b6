"""Compares the speed of this package with its peers and limits, in one run.

  make bench
  python -m tests.benchmarks [--tables=trunk,export] [--preset=tiny]

Prints tables of ratios. What is compared is measured in turn, so that a ratio does not
depend on what else the machine does; a ratio is a median over the rounds with its
quartiles, by elapsed time and by processor time of all threads together. `make bench`
installs PyTorch and timm into an environment of their own; without --peers they are left
out. Results are in docs/performance.md.
"""

from __future__ import annotations

import importlib

from absl import flags

from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

_TABLES = ("trunk", "task_parts", "joint", "evaluations", "export")

_NAMES = flags.DEFINE_list("tables", list(_TABLES), f"Of: {', '.join(_TABLES)}.")
_PRESET = flags.DEFINE_enum(
    "preset", "paper", list(presets.PRESETS), "Networks, heads and sizes of inputs."
)
_TASK_SET = flags.DEFINE_multi_string(
    "task_set", [], "TASK.KEY=VALUE: overrides a task's config field; may be repeated."
)
_SIZES = flags.DEFINE_list(
    "sizes", ["8x96", "2x256"], "Inputs of the trunk: BATCHxSIDE, such as 8x96."
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 7, "Measurements of each program.", lower_bound=2
)
_SECONDS = flags.DEFINE_float(
    "seconds", 2.0, "About the seconds of a measurement; it has at least one step."
)
_PEERS = path_flags.define_path(
    "peers", None, "Python of the environment that has PyTorch and timm."
)
_BFLOAT16 = flags.DEFINE_bool(
    "bfloat16",
    None,
    "Measure the trunk in bfloat16, too. Default: if the processor has instructions for "
    "it.",
)


def main(_: list[str]) -> None:
    """Prints the tables that the flags name."""
    from selfsup.common import processor
    from selfsup.common.errors import UserError
    from tests.benchmarks import machine
    from tests.benchmarks.suites.options import Options

    unknown = sorted(set(_NAMES.value) - set(_TABLES))
    if unknown:
        raise UserError(
            f"--tables={','.join(unknown)}: expected some of {', '.join(_TABLES)}"
        )
    bfloat16 = _BFLOAT16.value
    if bfloat16 is None:
        bfloat16 = processor.has_bfloat16(processor.flags())
    options = Options(
        rounds=_ROUNDS.value,
        seconds=_SECONDS.value,
        preset=_PRESET.value,
        task_overrides=tuple(_TASK_SET.value),
        sizes=tuple(_size(text) for text in _SIZES.value),
        peers=_PEERS.value,
        bfloat16=bfloat16,
    )
    packages = ("tensorflow", "numpy", "onnxruntime")
    print(f"{machine.describe(packages)}; {options.rounds} rounds\n", flush=True)
    for name in _NAMES.value:
        importlib.import_module(f"tests.benchmarks.suites.{name}").print_table(options)
        print(flush=True)


def _size(text: str) -> tuple[int, int]:
    from selfsup.common.errors import UserError

    batch, _, side = text.partition("x")
    if not (batch.isdigit() and side.isdigit() and int(batch) and int(side)):
        raise UserError(f"--sizes={text}: expected BATCHxSIDE, such as 8x96")
    return int(batch), int(side)


def run() -> None:
    """Entry point of the command."""
    command.run(main, "tests.benchmarks.__main__")


if __name__ == "__main__":
    run()
