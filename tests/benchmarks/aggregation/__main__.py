"""Compares the aggregation modes on a small problem with one slow worker.

  python -m tests.benchmarks.aggregation.__main__ --output=DIR

Trains a two-layer trunk with two tasks on logical CPU devices, two workers a task, by
the loop that pretraining uses: hybrid, synchronous and asynchronous (paper section 4).
Workers sleep for the time that a step is to take, one of them for longer, so the modes
differ by what waits for what and not by this machine. Writes a table of updates a
second and losses (aggregation.md), all curves (aggregation.json) and loss against time
(aggregation.png).
"""

from absl import flags

from selfsup.command_line import command, path_flags

_OUTPUT = path_flags.define_path(
    "output",
    None,
    "Folder for the table and the plot; made when missing.",
    required=True,
)
_SECONDS = flags.DEFINE_float(
    "seconds", 8.0, "Of each run: 3 modes, so many rates and seeds.", lower_bound=1.0
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 2, "Runs of each mode and rate, with other problems.", lower_bound=1
)
_LEARNING_RATES = flags.DEFINE_list(
    "learning_rates",
    ["0.0003", "0.001", "0.003"],
    "Of RMSProp; each is tried in each mode.",
)
_STEP_SECONDS = flags.DEFINE_list(
    "step_seconds", ["0.03", "0.06"], "Of a worker's step, for the two tasks."
)
_SLOW_FACTOR = flags.DEFINE_float(
    "slow_factor",
    8.0,
    "By how much one worker of the first task is slower.",
    lower_bound=1.0,
)


def main(_):
    """Reads the flags and runs."""
    import os

    rates = _numbers("--learning_rates", _LEARNING_RATES.value)
    step_seconds = _numbers("--step_seconds", _STEP_SECONDS.value, count=2)
    os.makedirs(_OUTPUT.value, exist_ok=True)
    from tests.benchmarks.aggregation import report, study

    study.make_devices()
    setting = study.Setting(
        _SECONDS.value,
        dict(zip(study.TASKS, step_seconds)),
        _SLOW_FACTOR.value,
    )
    runs = []
    # Modes side by side, so that whatever else the machine does hits all of them.
    for seed in range(_SEEDS.value):
        for rate in rates:
            for mode in study.MODES:
                runs.append(study.run(mode, rate, seed, setting))
                print(report.line(runs[-1]), flush=True)
    print(report.write(runs, setting, _OUTPUT.value))


def _numbers(flag, texts, count=None):
    """Positive numbers of a flag's texts; so many where a count is given."""
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


def run():
    """Entry point of the console command."""
    command.run(main, "tests.benchmarks.aggregation.__main__")


if __name__ == "__main__":
    run()
