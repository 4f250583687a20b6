"""Measures the distribution loop: overhead, traffic and time to the first step.

  python -m tests.benchmarks.loop --measure=overhead
  python -m tests.benchmarks.loop --measure=traffic --workers=2 --ps=1
  python -m tests.benchmarks.loop --measure=tracing --replicas=1,2,4,8,16

Every task trains on a made-up batch that stays the same, so no input is waited for.
overhead: the loop on one device against the bare train step, in turns in one process.
traffic: starts servers on loopback; bytes a step against the least possible, with each
option that cuts them, and the parts of a step by the loop's own trace (--trace to keep
it). tracing: a group's beginning by its number of replicas, on logical CPU devices.
docs/scaling.md and docs/loop_performance.md have results.
"""

import sys

from absl import flags

from selfsup import tasks
from selfsup.command_line import command, path_flags
from selfsup.pretraining import presets

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
_STEPS = flags.DEFINE_integer("steps", 5, "Steps a measurement.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 20, "Measurements of each; their median counts.", lower_bound=2
)
_PS = flags.DEFINE_integer("ps", 1, "Parameter servers.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Workers.", lower_bound=1)
_REPLICAS = flags.DEFINE_list("replicas", ["1", "2", "4"], "Numbers of replicas.")
_TRACE = path_flags.define_path("trace", None, "Where to write the Chrome trace.")


def main(_):
    """Runs the measurement that the flags choose."""
    measures = {"overhead": _overhead, "traffic": _traffic, "tracing": _tracing}
    return measures[_MEASURE.value]()


def _config():
    from selfsup.pretraining import configuration

    return configuration.resolve(
        _PRESET.value,
        _TASKS.value,
        task_overrides=_TASK_SET.value,
        trunk_overrides=_TRUNK_SET.value,
    )


def _overhead():
    from tests.benchmarks import loop_overhead

    config = _config()
    print("seconds of a bare step, of processor time; the loop's steps a second to it")
    for name in config.tasks:
        found = loop_overhead.measure(config, name, _STEPS.value, _ROUNDS.value)
        first, third = found.quartiles
        print(
            f"{name:20s} {found.bare:6.3f} s  {found.bare_cpu:6.3f} s  ratio "
            f"{found.ratio:5.3f}  by processor time {found.cpu_ratio:5.3f} "
            f"({first:5.3f} to {third:5.3f})",
            flush=True,
        )


def _traffic():
    from selfsup.hybrid.cluster import tf_config

    found = tf_config.from_environment()
    if found is None:
        from selfsup.hybrid.cluster import local_cluster

        again = [sys.executable, "-m", "tests.benchmarks.loop", *sys.argv[1:]]
        return local_cluster.run_local(again, _PS.value, _WORKERS.value, False)
    from selfsup.hybrid.cluster import cluster_pool
    from tests.benchmarks import loop_traffic

    cluster_pool.connect(found)
    config = _config()
    for name in config.tasks:
        for one in loop_traffic.measure(
            config, name, found, _STEPS.value, _TRACE.value
        ):
            print("\n".join(loop_traffic.describe(name, one)), flush=True)
    return 0


def _tracing():
    from tests.benchmarks import loop_tracing

    config = _config()
    numbers = [int(number) for number in _REPLICAS.value]
    loop_tracing.make_devices(max(numbers))
    print("replicas; processor seconds: replicate, first step, later step; elapsed")
    for name in config.tasks:
        for number in numbers:
            one = loop_tracing.measure(config, name, number)
            print(
                f"{name:20s} {one.replicas:3d}  {one.replicate:6.1f}  {one.first:6.1f}"
                f"  {one.later:6.2f}  {one.elapsed:6.1f}",
                flush=True,
            )


def run():
    """Entry point of the console command."""
    command.run(main, "tests.benchmarks.loop")


if __name__ == "__main__":
    run()
