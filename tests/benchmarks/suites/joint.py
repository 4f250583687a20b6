"""Joint training against the tasks by themselves, and the loop against bare steps."""

from __future__ import annotations

from selfsup.pretraining import configuration, presets
from tests.benchmarks import alternation
from tests.benchmarks.alternation import Contestant
from tests.benchmarks.loop import workloads
from tests.benchmarks.loop.overhead import Bare, Loop
from tests.benchmarks.suites.options import Options
from tests.benchmarks.table import Table

_PRESET = "tiny"
_JOINT = "joint round"


def print_table(options: Options) -> None:
    """Prints the times of joint rounds and of loops, with the preset tiny."""
    config = configuration.resolve(
        _PRESET, presets.DEFAULT_TASKS, task_overrides=options.task_overrides
    )
    joint: dict[str, Contestant] = {_JOINT: Loop(config, workloads.make_joint(config))}
    alone: dict[str, Contestant] = {
        name: Loop(config, {name: workloads.make(config, name)[0]})
        for name in config.tasks
    }
    rounds = alternation.measure({**joint, **alone}, options.rounds, options.seconds)
    print(
        f"Joint round of {len(alone)} tasks, preset {_PRESET}, relative to the sum of"
    )
    print("the same steps in runs of one task each (quartiles)")
    table = Table("joint round, ms", "elapsed", "processor", "cores in use")
    table.add(
        f"{1e3 * rounds.elapsed(_JOINT):.0f}",
        str(rounds.ratio_to_sum(_JOINT, list(alone))),
        str(rounds.processor_ratio_to_sum(_JOINT, list(alone))),
        f"{rounds.processor(_JOINT) / rounds.elapsed(_JOINT):.2f}",
    )
    print(f"\nSteps per second of the loop relative to the bare step, preset {_PRESET}")
    table = Table("task", "bare step, ms", "elapsed", "processor", "cores in use")
    for name in config.tasks:
        pair: dict[str, Contestant] = {"bare": Bare(config, name), "loop": alone[name]}
        rounds = alternation.measure(pair, options.rounds, options.seconds)
        table.add(
            name,
            f"{1e3 * rounds.elapsed('bare'):.0f}",
            str(rounds.ratio("bare", "loop")),
            str(rounds.processor_ratio("bare", "loop")),
            f"{rounds.processor('loop') / rounds.elapsed('loop'):.2f}",
        )
