"""Compares the modes of gradient aggregation on a small problem with one slow worker.

  python -m tests.benchmarks.aggregation --output=DIR

Trains a two-layer trunk with two tasks on logical CPU devices, two workers per task, by
the loop that pretraining uses: hybrid, synchronous and asynchronous (paper section 4).
Each worker sleeps for the duration of a step, one of them for longer. So the results
depend on which worker waits for which, and not on this machine. Writes a table of update
rates and losses (aggregation.md), all curves (aggregation.json) and a plot of loss
against time (aggregation.png).
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from selfsup.command_line import command, path_flags

_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder for the table, the curves and the plot; created if missing.",
    required=True,
)
_SECONDS = flags.DEFINE_float(
    "seconds",
    8.0,
    "Duration of a run; there is a run for each mode, learning rate and seed.",
    lower_bound=1.0,
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    2,
    "Number of seeds; each gives another problem.",
    lower_bound=1,
)
_LEARNING_RATES = flags.DEFINE_list(
    "learning_rates",
    ["0.0003", "0.001", "0.003"],
    "Learning rates of RMSProp; each mode runs with each of them.",
)
_STEP_SECONDS = flags.DEFINE_list(
    "step_seconds",
    ["0.03", "0.06"],
    "Seconds that a worker of the first and of the second task takes for a step.",
)
_SLOW_FACTOR = flags.DEFINE_float(
    "slow_factor",
    8.0,
    "How many times as long a step of one worker of the first task takes.",
    lower_bound=1.0,
)


def main(argv: list[str]) -> None:
    """Runs the study that the flags describe."""
    del argv
    import os

    rates = _numbers("--learning_rates", _LEARNING_RATES.value)
    step_seconds = _numbers("--step_seconds", _STEP_SECONDS.value, count=2)
    os.makedirs(_OUTPUT.value, exist_ok=True)
    from tests.benchmarks.aggregation import report, small_problem, study
    from tests.benchmarks.table import Table

    study.make_devices()
    setting = study.Setting(
        _SECONDS.value,
        dict(zip(small_problem.TASKS, step_seconds)),
        _SLOW_FACTOR.value,
    )
    runs = []
    table = Table(*report.RUN_COLUMNS)
    # The modes run directly after one another, so that other load on the machine
    # affects them alike.
    for seed in range(_SEEDS.value):
        for rate in rates:
            for mode in study.MODES:
                runs.append(study.run(mode, rate, seed, setting))
                table.add(*report.run_cells(runs[-1]))
    print(f"\n{report.write(runs, setting, _OUTPUT.value)}")


def _numbers(flag: str, texts: Sequence[str], count: int | None = None) -> list[float]:
    """Parses the positive numbers of a flag, `count` of them if given."""
    from selfsup.common.errors import UserError

    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) <= 0 or len(numbers) != (count or len(numbers)):
        raise UserError(
            f"{flag}={','.join(texts)}: expected {count or 'some'} numbers above 0"
        )
    return numbers


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "tests.benchmarks.aggregation.__main__")


if __name__ == "__main__":
    run()
