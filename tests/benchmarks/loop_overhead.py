"""The loop's steps against the bare training step of the same model and batch."""

import dataclasses
import itertools
import statistics
import tempfile
import time

import tensorflow as tf

from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED, RMSProp
from tests.benchmarks import loop_workloads

_WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Overhead:
    """One task's steps, medians over the rounds.

    Attributes:
      bare: seconds of a bare step on the clock.
      bare_cpu: and of processor time, all threads together.
      ratio: steps a second, of the loop to the bare step.
      cpu_ratio: steps a second of processor time, likewise, which other programs on
        the machine do not disturb as much.
      quartiles: of the rounds' `cpu_ratio`, the first and third.
    """

    bare: float
    bare_cpu: float
    ratio: float
    cpu_ratio: float
    quartiles: tuple


def measure(config, name, steps, rounds):
    """Times `steps` steps of either in turn, so many rounds, on TensorFlow's device."""
    bare, loop = _Bare(config, name), _Loop(config, name)
    bare.seconds(_WARM_UP)
    loop.seconds(_WARM_UP)
    times, ratios = [], []
    for number in range(rounds):
        # Whoever comes second may find the machine warmer.
        order = [bare, loop] if number % 2 else [loop, bare]
        taken = {one: one.seconds(steps) for one in order}
        times.append(taken[bare])
        ratios.append([mine / theirs for mine, theirs in zip(taken[bare], taken[loop])])
    first, _, third = statistics.quantiles((ratio for _, ratio in ratios), n=4)
    return Overhead(*_medians(times), *_medians(ratios), (first, third))


def _medians(rows):
    return [statistics.median(column) for column in zip(*rows)]


def _clocks():
    return time.perf_counter(), time.process_time()


def _per_step(start, end, steps):
    return [(b - a) / steps for a, b in zip(start, end)]


class _Bare:
    """Forward, backward and RMSProp in one function, nothing else; no input either."""

    def __init__(self, config, name):
        workload, self._examples = loop_workloads.make(config, name)
        model = workload.master.model
        optimizer = RMSProp(model.variables, NAMED[config.rmsprop])

        def step(examples, seed):
            with tf.GradientTape() as tape:
                total, _ = model.objective(examples, seed)
            gradients = tape.gradient(total, model.variables)
            optimizer.apply(model.variables, gradients, workload.learning_rate)
            return total

        self._step = tf.function(step)
        self._numbers = itertools.count()

    def seconds(self, steps):
        """[seconds, processor seconds] a step; waits for the last one's loss alone."""
        start = _clocks()
        for _ in range(steps):
            seed = tf.constant([1, next(self._numbers)])
            total = self._step(self._examples, seed)
        total.numpy()
        return _per_step(start, _clocks(), steps)


class _Loop:
    """The engine with one group, as `launch.pretrain` runs it on one device."""

    def __init__(self, config, name):
        workload, _ = loop_workloads.make(config, name)
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

    def seconds(self, steps):
        """As of `_Bare`, from the end of one step to the end of the last.

        So the checkpoint at the end of a run is left out.
        """
        self._limits[self._name] = self._group.steps + steps + 1
        ends = []
        self._engine.run(
            _NeverStop(),
            float("inf"),
            lambda *_: ends.append(_clocks()),
        )
        return _per_step(ends[0], ends[-1], steps)


class _NeverStop:
    received = None
