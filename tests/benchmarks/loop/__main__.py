"""Measures the distribution loop: overhead, traffic and time to the first step.

  python -m tests.benchmarks.loop --measure=overhead
  python -m tests.benchmarks.loop --measure=traffic --workers=2 --ps=1
  python -m tests.benchmarks.loop --measure=tracing --replicas=1,2,4,8,16

Every task trains on a synthetic batch that is always the same, so that no step waits for
input.

overhead: compares the loop on one device with the bare training step, alternately in one
  process.
traffic: starts servers on the loopback interface; compares the bytes per step with the
  smallest possible number, with each option that reduces them, and times the parts of a
  step by the loop's own trace (--trace keeps it).
tracing: times the start of a replica group by its number of replicas, on logical CPU
  devices.

Results are in docs/scaling.md and docs/loop_performance.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from absl import flags

from selfsup import tasks
from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig

_MEASURE = flags.DEFINE_enum(
    "measure", "overhead", ["overhead", "traffic", "tracing"], "What to measure."
)
_TASKS = flags.DEFINE_list(
    "tasks",
    ["colorization"],
    f"Tasks to measure with, each by itself, of: {', '.join(tasks.REGISTRY)}.",
)
_PRESET = flags.DEFINE_enum(
    "preset", "tiny", list(presets.PRESETS), "Hyperparameters to start from."
)
_TASK_SET = flags.DEFINE_multi_string(
    "task_set", [], "TASK.KEY=VALUE: overrides a task's config field; may be repeated."
)
_TRUNK_SET = flags.DEFINE_multi_string(
    "trunk_set", [], "KEY=VALUE: overrides a trunk config field; may be repeated."
)
_STEPS = flags.DEFINE_integer("steps", 5, "Steps per measurement.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 20, "Measurements; the medians are printed.", lower_bound=2
)
_PS = flags.DEFINE_integer("ps", 1, "Parameter servers.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Workers.", lower_bound=1)
_REPLICAS = flags.DEFINE_list("replicas", ["1", "2", "4"], "Numbers of replicas.")
_TRACE = path_flags.define_path("trace", None, "Where to write the Chrome trace.")


def main(argv: list[str]) -> int | None:
    """Runs the measurement that the flags choose."""
    del argv
    measures = {"overhead": _overhead, "traffic": _traffic, "tracing": _tracing}
    return measures[_MEASURE.value]()


def _config() -> RunConfig:
    from selfsup.pretraining import configuration

    return configuration.resolve(
        _PRESET.value,
        _TASKS.value,
        task_overrides=_TASK_SET.value,
        trunk_overrides=_TRUNK_SET.value,
    )


def _overhead() -> None:
    from tests.benchmarks.loop import overhead
    from tests.benchmarks.table import Table

    config = _config()
    print(
        "Bare step in seconds; steps per second of the loop relative to the bare step"
    )
    table = Table(
        "task", "bare", "bare, CPU time", "ratio", "ratio by CPU time (quartiles)"
    )
    for name in config.tasks:
        result = overhead.measure(config, name, _STEPS.value, _ROUNDS.value)
        first, third = result.quartiles
        table.add(
            name,
            f"{result.bare:.3f}",
            f"{result.bare_cpu:.3f}",
            f"{result.ratio:.3f}",
            f"{result.cpu_ratio:.3f} ({first:.3f} to {third:.3f})",
        )


def _traffic() -> int:
    from selfsup.hybrid.cluster import tf_config

    cluster = tf_config.from_environment()
    if cluster is None:
        # The parent process starts the cluster; its chief runs this function again.
        from selfsup.hybrid.cluster import local_cluster

        again = [sys.executable, "-m", "tests.benchmarks.loop", *sys.argv[1:]]
        return local_cluster.run_local(again, _PS.value, _WORKERS.value, False)
    from selfsup.hybrid.cluster import cluster_pool
    from tests.benchmarks.loop import traffic
    from tests.benchmarks.table import Table

    cluster_pool.connect(cluster)
    config = _config()
    print("Per step: megabytes, and milliseconds in all and of each part when recorded")
    table = Table(*traffic.COLUMNS)
    for name in config.tasks:
        for result in traffic.measure(
            config, name, cluster, _STEPS.value, _TRACE.value
        ):
            table.add(name, *traffic.cells(result))
    return 0


def _tracing() -> None:
    from tests.benchmarks.loop import tracing
    from tests.benchmarks.table import Table

    config = _config()
    numbers = [int(number) for number in _REPLICAS.value]
    tracing.make_devices(max(numbers))
    print("CPU seconds; elapsed: seconds until the end of the first step")
    table = Table(
        "task", "replicas", "replicate", "first step", "later step", "elapsed"
    )
    for name in config.tasks:
        for number in numbers:
            result = tracing.measure(config, name, number)
            table.add(
                name,
                f"{result.replicas}",
                f"{result.replicate:.1f}",
                f"{result.first:.1f}",
                f"{result.later:.2f}",
                f"{result.elapsed:.1f}",
            )


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "tests.benchmarks.loop.__main__")


if __name__ == "__main__":
    run()
