"""Trains a small problem in each aggregation mode, with one slow worker."""

import dataclasses
import gc
import statistics
import tempfile
import time

import tensorflow as tf

from launch.aggregation_problem import TASKS, Network, Problem
from selfsup.hybrid import aggregation
from selfsup.hybrid.checkpoint import Store
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool
from selfsup.hybrid.parallel_engine import ParallelEngine

_SERVER = "/CPU:0"
DEVICES = {TASKS[0]: ("/CPU:1", "/CPU:2"), TASKS[1]: ("/CPU:3", "/CPU:4")}
_DEVICE_COUNT = 5
# Waiting workers hold a thread each; TensorFlow's default is one a core.
_THREADS = 32
_MEASURE_SECONDS = 0.25
MODES = ("hybrid", "sync", "async")
_ENDLESS = 10**9


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all runs of a study have in common.

    Attributes:
      seconds: of each run.
      step_seconds: of a worker's step, by task.
      slow_factor: by how much the last worker of the first task is slower.
    """

    seconds: float
    step_seconds: dict
    slow_factor: float

    def worker_seconds(self, task):
        """Seconds of a step of each worker of a task."""
        seconds = [self.step_seconds[task]] * len(DEVICES[task])
        if task == TASKS[0]:
            seconds[-1] *= self.slow_factor
        return seconds


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run came to.

    Attributes:
      mode, learning_rate, seed: which run it was.
      curve: list of (seconds, held-out loss).
      updates: how often gradients were applied to the trunk.
      examples: that those gradients were of.
      staleness: mean number of updates between a gradient's values and its application.
      seconds: how long it took.
    """

    mode: str
    learning_rate: float
    seed: int
    curve: list
    updates: int
    examples: int
    staleness: float
    seconds: float


class _TimeLimit:
    """Stands in for `StopSignals`: asks to stop when the time is over."""

    def __init__(self, seconds):
        self._end = time.monotonic() + seconds

    @property
    def received(self):
        return "time" if time.monotonic() >= self._end else None


class _Observer:
    """Takes in the steps of a run; measures the held-out loss now and then."""

    def __init__(self, tasks_per_update, measure):
        self.curve = []
        self.staleness = []
        self._tasks_per_update = tasks_per_update
        self._measure = measure
        self._start = time.monotonic()
        self._measure_at = self._start
        self._count = 0

    @property
    def updates(self):
        return self._count // self._tasks_per_update

    def after_step(self, task, logs, seconds):
        del task, seconds
        # Before it is counted: the updates that came before this one.
        self.staleness.append(self.updates - logs["begun_at"])
        self._count += 1
        now = time.monotonic()
        if now >= self._measure_at:
            self.curve.append((now - self._start, self._measure()))
            self._measure_at = now + _MEASURE_SECONDS


def make_devices():
    """Splits the CPU; to be called before anything else looks at the devices."""
    # Warns of tracing often, as each run has to.
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_inter_op_parallelism_threads(_THREADS)
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(_DEVICE_COUNT)]
    tf.config.set_logical_device_configuration(cpu, parts)


def run(mode, learning_rate, seed, setting):
    """Trains a new network in one mode; returns a `Run`."""
    result = _run(mode, learning_rate, seed, setting)
    # Not in the next run: what TensorFlow made takes long to be deleted.
    gc.collect()
    return result


def _run(mode, learning_rate, seed, setting):
    problem = Problem(seed)
    with tf.device(_SERVER):
        network = Network(seed + 1000)
    made = _aggregated(problem, network, mode, learning_rate, setting)
    tasks_per_update = len(made.steppers[0].tasks)
    _trace(network, made)
    with tempfile.TemporaryDirectory() as folder:
        engine = _engine(network, made, folder)
        measure = tf.function(lambda: problem.held_out_loss(network))
        measure()
        observer = _Observer(tasks_per_update, lambda: float(measure()))
        start = time.monotonic()
        engine.run(_TimeLimit(setting.seconds), _ENDLESS, observer.after_step)
        seconds = time.monotonic() - start
    return Run(
        mode,
        learning_rate,
        seed,
        observer.curve,
        observer.updates,
        sum(group.examples for group in made.groups.values()),
        statistics.fmean(observer.staleness),
        seconds,
    )


def _aggregated(problem, network, mode, learning_rate, setting):
    groups = {}

    def updates():
        """Updates so far; one of all tasks is a step of each."""
        steps = [group.steps for group in groups.values()]
        return max(steps, default=0) if mode == "sync" else sum(steps)

    workloads = [
        problem.workload(
            network, task, learning_rate, setting.worker_seconds(task), updates
        )
        for task in TASKS
    ]
    made = aggregation.MODES[mode](workloads, None, DEVICES)
    groups.update(made.groups)
    return made


def _trace(network, made):
    """Takes each stepper's first step, which traces it, and undoes it."""
    optimizers = [one.variables for one in made.optimizers.values()]
    state = [*network.variables, *(each for one in optimizers for each in one)]
    before = [variable.numpy() for variable in state]
    counters = {task: group.counters() for task, group in made.groups.items()}
    for stepper in made.steppers:
        stepper.advance()
    for variable, value in zip(state, before):
        variable.assign(value)
    for task, group in made.groups.items():
        group.restore(counters[task])


def _engine(network, made, folder):
    return ParallelEngine(
        made.groups,
        dict.fromkeys(TASKS, 1.0),
        dict.fromkeys(TASKS, _ENDLESS),
        CostClock(dict.fromkeys(TASKS, 1.0)),
        Store(folder),
        tf.train.Checkpoint(network=network, optimizers=made.optimizers),
        pool=LocalPool(),
        steppers=made.steppers,
    )
