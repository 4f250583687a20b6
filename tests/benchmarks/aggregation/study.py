"""Trains a small problem in each aggregation mode, with one slow worker."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import tempfile
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Callable

import tensorflow as tf

from selfsup.hybrid import aggregation
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool
from selfsup.hybrid.parallel_engine import ParallelEngine
from selfsup.hybrid.rmsprop import RMSPropConfig
from tests.benchmarks.aggregation.small_problem import TASKS, Network, Problem

if TYPE_CHECKING:
    from selfsup.hybrid.aggregation import Aggregation
    from selfsup.hybrid.step_counts import TaskProgress

_SERVER = "/CPU:0"
DEVICES = {TASKS[0]: ("/CPU:1", "/CPU:2"), TASKS[1]: ("/CPU:3", "/CPU:4")}
_DEVICE_COUNT = 5
# Each waiting worker occupies a thread; TensorFlow's default is a thread per core.
_THREADS = 32
_MEASURE_SECONDS = 0.25
MODES = ("hybrid", "sync", "async")
_ENDLESS = 10**9
# No warm-up: in the synchronous mode, a run has a few dozen steps only.
_NO_WARM_UP = RMSPropConfig(warmup_steps=0)


@dataclasses.dataclass(frozen=True)
class Setting:
    """The setting of all runs of a study.

    Attributes:
      seconds: duration of a run.
      step_seconds: seconds of a worker's step, by task.
      slow_factor: how many times as long the last worker of the first task takes.
    """

    seconds: float
    step_seconds: dict[str, float]
    slow_factor: float

    def worker_seconds(self, task: str) -> list[float]:
        """Seconds that each worker of a task takes for a step."""
        seconds = [self.step_seconds[task]] * len(DEVICES[task])
        if task == TASKS[0]:
            seconds[-1] *= self.slow_factor
        return seconds


@dataclasses.dataclass(frozen=True)
class Run:
    """The result of a run.

    Attributes:
      mode: name in `MODES`.
      learning_rate: learning rate of RMSProp.
      seed: seed of the problem.
      curve: (seconds, held-out loss) of each measurement.
      updates: number of times that gradients were applied to the trunk.
      examples: number of examples in those gradients.
      staleness: mean number of updates between a gradient's pull and its application.
      seconds: duration of the run.
    """

    mode: str
    learning_rate: float
    seed: int
    curve: list[tuple[float, float]]
    updates: int
    examples: int
    staleness: float
    seconds: float


class _UpdateCounter:
    """Counts the updates of the trunk since the last `reset`, as they are applied.

    Attributes:
      groups: the group of each task, to be set before the first call.
    """

    def __init__(self, mode: str) -> None:
        self.groups: Mapping[str, TaskProgress] = {}
        # In the synchronous mode, an update is a step of each task.
        self._synchronous = mode == "sync"
        self._before = 0

    def __call__(self) -> int:
        steps = [group.steps for group in self.groups.values()]
        total = max(steps, default=0) if self._synchronous else sum(steps)
        return total - self._before

    def reset(self) -> None:
        self._before += self()


class _Observer:
    """Observes the steps of a run and measures the held-out loss now and then.

    Time starts with the first step. The engine takes it for its `StopSignals`: it
    requests a stop when the time is over.

    Attributes:
      curve: (seconds, held-out loss) of each measurement.
      staleness: number of updates between the pull and the end of each step.
      seconds: time of the last step.
    """

    def __init__(
        self, tasks_per_update: int, measure: Callable[[], float], limit: float
    ) -> None:
        """
        Args:
          tasks_per_update: number of tasks that take a step in an update.
          measure: returns the held-out loss.
          limit: duration of the run in seconds.
        """
        self.curve = [(0.0, measure())]
        self.staleness: list[float] = []
        self.seconds = 0.0
        self._tasks_per_update = tasks_per_update
        self._measure = measure
        self._limit = limit
        self._start: float | None = None
        self._next_measurement = 0.0
        self._steps = 0

    @property
    def updates(self) -> int:
        """Number of updates so far."""
        return self._steps // self._tasks_per_update

    @property
    def received(self) -> str | None:
        """The reason to stop, or None."""
        if self._start is None or time.monotonic() - self._start < self._limit:
            return None
        return "time"

    def after_step(self, task: str, logs: dict[str, float], seconds: float) -> None:
        """Is called after each step."""
        del task
        if self._start is None:
            self._start = time.monotonic() - seconds
        # Of the updates before this step.
        self.staleness.append(self.updates - logs["begun_at"])
        self._steps += 1
        self.seconds = time.monotonic() - self._start
        if self.seconds >= self._next_measurement:
            self.curve.append((self.seconds, self._measure()))
            self._next_measurement = self.seconds + _MEASURE_SECONDS


def make_devices() -> None:
    """Splits the CPU into logical devices, before TensorFlow initialises them."""
    # TensorFlow warns of frequent tracing, which each run needs.
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_inter_op_parallelism_threads(_THREADS)
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(_DEVICE_COUNT)]
    tf.config.set_logical_device_configuration(cpu, parts)


def run(mode: str, learning_rate: float, seed: int, setting: Setting) -> Run:
    """Trains a new network in one mode."""
    result = _run(mode, learning_rate, seed, setting)
    # TensorFlow's objects take long to delete: not during the next run.
    gc.collect()
    return result


def _run(mode: str, learning_rate: float, seed: int, setting: Setting) -> Run:
    problem = Problem(seed)
    with tf.device(_SERVER):
        network = Network(seed + 1000)
    counter = _UpdateCounter(mode)
    workloads = [
        problem.workload(
            network, task, learning_rate, setting.worker_seconds(task), counter
        )
        for task in TASKS
    ]
    aggregated = aggregation.MODES[mode](workloads, _NO_WARM_UP, DEVICES)
    counter.groups = aggregated.groups
    _trace(network, aggregated)
    counter.reset()
    with tempfile.TemporaryDirectory() as folder:
        engine = _engine(network, aggregated, folder)
        held_out_loss = tf.function(lambda: problem.held_out_loss(network))
        held_out_loss()
        observer = _Observer(
            len(aggregated.steppers[0].tasks),
            lambda: float(held_out_loss()),
            setting.seconds,
        )
        before = _examples(aggregated)
        engine.run(observer, _ENDLESS, observer.after_step)
    return Run(
        mode,
        learning_rate,
        seed,
        observer.curve,
        observer.updates,
        _examples(aggregated) - before,
        statistics.fmean(observer.staleness),
        observer.seconds,
    )


def _examples(aggregated: Aggregation) -> int:
    return sum(group.examples for group in aggregated.groups.values())


def _trace(network: Network, aggregated: Aggregation) -> None:
    """Lets each stepper take a step, which traces it, and restores all variables."""
    state = list(network.variables)
    for optimizer in aggregated.optimizers.values():
        state += optimizer.variables
    before = [variable.numpy() for variable in state]
    for stepper in aggregated.steppers:
        stepper.advance()
    for variable, value in zip(state, before):
        variable.assign(value)


def _engine(network: Network, aggregated: Aggregation, folder: str) -> ParallelEngine:
    return ParallelEngine(
        aggregated.groups,
        dict.fromkeys(TASKS, 1.0),
        dict.fromkeys(TASKS, _ENDLESS),
        CostClock(dict.fromkeys(TASKS, 1.0)),
        CheckpointStore(folder),
        tf.train.Checkpoint(network=network, optimizers=aggregated.optimizers),
        pool=LocalPool(),
        steppers=aggregated.steppers,
    )
