"""Trains a small problem in each aggregation mode, with one slow worker."""

import dataclasses
import gc
import statistics
import tempfile
import time

import tensorflow as tf

from selfsup.hybrid import aggregation
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool
from selfsup.hybrid.parallel_engine import ParallelEngine
from selfsup.hybrid.rmsprop import RMSPropConfig
from tests.benchmarks.aggregation.small_problem import TASKS, Network, Problem

_SERVER = "/CPU:0"
DEVICES = {TASKS[0]: ("/CPU:1", "/CPU:2"), TASKS[1]: ("/CPU:3", "/CPU:4")}
_DEVICE_COUNT = 5
# Waiting workers hold a thread each; TensorFlow's default is one a core.
_THREADS = 32
_MEASURE_SECONDS = 0.25
MODES = ("hybrid", "sync", "async")
_ENDLESS = 10**9
# Of the three modes, one takes a few dozen steps only.
_FULL_RATE = RMSPropConfig(warmup_steps=0)


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


class _Updates:
    """Counts the updates of the trunk since the last `reset`, as they land."""

    def __init__(self, mode):
        self.groups = {}
        # There, one update is a step of each task.
        self._together = mode == "sync"
        self._before = 0

    def __call__(self):
        steps = [group.steps for group in self.groups.values()]
        so_far = max(steps, default=0) if self._together else sum(steps)
        return so_far - self._before

    def reset(self):
        self._before += self()


class _Observer:
    """Takes in the steps of a run; measures the held-out loss now and then.

    Time begins with the first step. Stands in for `StopSignals`: asks to stop when the
    time is over.

    Attributes:
      curve: list of (seconds, held-out loss).
      staleness: of each step, the updates between its pull and itself.
      seconds: when the last step came.
    """

    def __init__(self, tasks_per_update, measure, limit):
        self.curve = [(0.0, measure())]
        self.staleness = []
        self.seconds = 0.0
        self._tasks_per_update = tasks_per_update
        self._measure = measure
        self._limit = limit
        self._start = None
        self._measure_at = 0.0
        self._count = 0

    @property
    def updates(self):
        return self._count // self._tasks_per_update

    @property
    def received(self):
        over = self._start is not None and self._so_far() >= self._limit
        return "time" if over else None

    def _so_far(self):
        return time.monotonic() - self._start

    def after_step(self, task, logs, seconds):
        del task
        if self._start is None:
            self._start = time.monotonic() - seconds
        # Before it is counted: the updates that came before this one.
        self.staleness.append(self.updates - logs["begun_at"])
        self._count += 1
        self.seconds = self._so_far()
        if self.seconds >= self._measure_at:
            self.curve.append((self.seconds, self._measure()))
            self._measure_at = self.seconds + _MEASURE_SECONDS


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
    updates = _Updates(mode)
    made = _aggregated(problem, network, mode, learning_rate, setting, updates)
    tasks_per_update = len(made.steppers[0].tasks)
    _trace(network, made)
    updates.reset()
    with tempfile.TemporaryDirectory() as folder:
        engine = _engine(network, made, folder)
        measure = tf.function(lambda: problem.held_out_loss(network))
        measure()
        observer = _Observer(
            tasks_per_update, lambda: float(measure()), setting.seconds
        )
        before = _examples(made)
        engine.run(observer, _ENDLESS, observer.after_step)
    return Run(
        mode,
        learning_rate,
        seed,
        observer.curve,
        observer.updates,
        _examples(made) - before,
        statistics.fmean(observer.staleness),
        observer.seconds,
    )


def _examples(made):
    return sum(group.examples for group in made.groups.values())


def _aggregated(problem, network, mode, learning_rate, setting, updates):
    workloads = [
        problem.workload(
            network, task, learning_rate, setting.worker_seconds(task), updates
        )
        for task in TASKS
    ]
    made = aggregation.MODES[mode](workloads, _FULL_RATE, DEVICES)
    updates.groups = made.groups
    return made


def _trace(network, made):
    """Takes each stepper's first step, which traces it, and undoes what it did."""
    optimizers = [one.variables for one in made.optimizers.values()]
    state = [*network.variables, *(each for one in optimizers for each in one)]
    before = [variable.numpy() for variable in state]
    for stepper in made.steppers:
        stepper.advance()
    for variable, value in zip(state, before):
        variable.assign(value)


def _engine(network, made, folder):
    return ParallelEngine(
        made.groups,
        dict.fromkeys(TASKS, 1.0),
        dict.fromkeys(TASKS, _ENDLESS),
        CostClock(dict.fromkeys(TASKS, 1.0)),
        CheckpointStore(folder),
        tf.train.Checkpoint(network=network, optimizers=made.optimizers),
        pool=LocalPool(),
        steppers=made.steppers,
    )
