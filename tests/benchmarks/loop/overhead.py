"""Compares the loop's steps with the bare training step on the same model and batch."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED, RMSProp
from tests.benchmarks.loop import workloads

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig

_WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Overhead:
    """Results for one task, medians over the rounds.

    Attributes:
      bare: elapsed seconds of a bare step.
      bare_cpu: CPU seconds of a bare step, of all threads together.
      ratio: steps per elapsed second, loop to bare step.
      cpu_ratio: steps per CPU second, loop to bare step; other programs on the machine
        disturb it less.
      quartiles: the first and third quartile of the rounds' `cpu_ratio`.
    """

    bare: float
    bare_cpu: float
    ratio: float
    cpu_ratio: float
    quartiles: tuple[float, float]


class _Seconds(NamedTuple):
    elapsed: float
    cpu: float


def measure(config: RunConfig, name: str, steps: int, rounds: int) -> Overhead:
    """Times bare steps and the loop's steps alternately, on TensorFlow's default device.

    Args:
      config: configuration of the run.
      name: name of the task.
      steps: steps per measurement.
      rounds: number of measurements of each.
    """
    bare, loop = _Bare(config, name), _Loop(config, name)
    bare.step_seconds(_WARM_UP)
    loop.step_seconds(_WARM_UP)
    times, ratios = [], []
    for number in range(rounds):
        # The order changes, because the second may profit from the first.
        if number % 2:
            bare_seconds = bare.step_seconds(steps)
            loop_seconds = loop.step_seconds(steps)
        else:
            loop_seconds = loop.step_seconds(steps)
            bare_seconds = bare.step_seconds(steps)
        times.append(bare_seconds)
        ratios.append([b / a for b, a in zip(bare_seconds, loop_seconds)])
    elapsed, cpu = (statistics.median(column) for column in zip(*times))
    ratio, cpu_ratio = (statistics.median(column) for column in zip(*ratios))
    first, _, third = statistics.quantiles((row[1] for row in ratios), n=4)
    return Overhead(elapsed, cpu, ratio, cpu_ratio, (first, third))


def _clocks() -> _Seconds:
    return _Seconds(time.perf_counter(), time.process_time())


def _per_step(start: _Seconds, end: _Seconds, steps: int) -> _Seconds:
    return _Seconds(*((b - a) / steps for a, b in zip(start, end)))


class _Bare:
    """Forward pass, backward pass and RMSProp in one function, and nothing else."""

    def __init__(self, config: RunConfig, name: str) -> None:
        workload, self._examples = workloads.make(config, name)
        model = workload.master.model
        optimizer = RMSProp(model.variables, NAMED[config.rmsprop])

        def step(examples: workloads.Batch, seed: tf.Tensor) -> tf.Tensor:
            total, _, gradients = model.gradients(examples, seed)
            optimizer.apply(model.variables, gradients, workload.learning_rate)
            return total

        self._step = tf.function(step)
        self._numbers = itertools.count()

    def step_seconds(self, steps: int) -> _Seconds:
        """Takes some steps and returns the time per step.

        It waits for the last loss only.
        """
        start = _clocks()
        for _ in range(steps):
            seed = tf.constant([1, next(self._numbers)])
            total = self._step(self._examples, seed)
        total.numpy()
        return _per_step(start, _clocks(), steps)


class _Loop:
    """The engine with one group, as `launch.pretrain` runs it on one device."""

    def __init__(self, config: RunConfig, name: str) -> None:
        workload, _ = workloads.make(config, name)
        self._name = name
        self._group = Group(workload, NAMED[config.rmsprop])
        self._limits = {name: 0}
        self._folder = tempfile.TemporaryDirectory()
        trackable = tf.train.Checkpoint(optimizer=self._group.optimizer)
        self._engine = Engine(
            {name: self._group},
            {name: 1.0},
            self._limits,
            CostClock({}),
            CheckpointStore(self._folder.name),
            trackable,
            steppers=[self._group],
        )

    def step_seconds(self, steps: int) -> _Seconds:
        """Takes one step, then some more, and returns the time per step of the latter.

        The checkpoint at the end of the run does not count.
        """
        self._limits[self._name] = self._group.steps + steps + 1
        ends: list[_Seconds] = []
        self._engine.run(
            _NeverStop(),
            float("inf"),
            lambda *_: ends.append(_clocks()),
        )
        return _per_step(ends[0], ends[-1], steps)


class _NeverStop:
    """Replaces `StopSignals`: nothing asks the engine to stop."""

    received = None
