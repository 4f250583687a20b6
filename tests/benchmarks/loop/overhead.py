"""Compares the loop's steps with the bare training step on the same model and batch."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED, RMSProp
from selfsup.hybrid.workload import Workload
from tests.benchmarks import alternation
from tests.benchmarks.alternation import InProcess, Seconds
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


def measure(config: RunConfig, name: str, steps: int, rounds: int) -> Overhead:
    """Times bare steps and the loop's steps alternately, on TensorFlow's default device.

    Args:
      config: configuration of the run.
      name: name of the task.
      steps: steps per measurement.
      rounds: number of measurements of each.
    """
    bare = Bare(config, name)
    loop = Loop(config, {name: workloads.make(config, name)[0]})
    measured = alternation.measure({"bare": bare, "loop": loop}, rounds, 0, steps)
    speed = measured.processor_ratio("bare", "loop")
    return Overhead(
        measured.elapsed("bare"),
        measured.processor("bare"),
        measured.ratio("bare", "loop").median,
        speed.median,
        (speed.first, speed.third),
    )


class Bare:
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
        self._timed = InProcess(self._take, lambda total: total.numpy())
        self._timed.run(_WARM_UP)

    def run(self, steps: int) -> Seconds:
        """Takes steps and waits for the last loss only."""
        return self._timed.run(steps)

    def _take(self) -> tf.Tensor:
        seed = tf.constant([1, next(self._numbers)])
        return self._step(self._examples, seed)


class Loop:
    """The engine, as `launch.pretrain` runs it on one device: the tasks take turns.

    Args:
      config: configuration of the run.
      made: the workloads of its tasks, which may share a network.
    """

    def __init__(self, config: RunConfig, made: Mapping[str, Workload]) -> None:
        rmsprop = NAMED[config.rmsprop]
        self._groups = {name: Group(each, rmsprop) for name, each in made.items()}
        self._limits = dict.fromkeys(made, 0)
        self._folder = tempfile.TemporaryDirectory()
        optimizers = {name: each.optimizer for name, each in self._groups.items()}
        self._engine = Engine(
            self._groups,
            dict.fromkeys(made, 1.0),
            self._limits,
            CostClock({}),
            CheckpointStore(self._folder.name),
            tf.train.Checkpoint(**optimizers),
            steppers=list(self._groups.values()),
        )
        self.run(_WARM_UP)

    def run(self, steps: int) -> Seconds:
        """Takes a step of each task, then `steps` more of each, and times the latter.

        The checkpoint at the end of the run does not count.
        """
        for name, group in self._groups.items():
            self._limits[name] = group.steps + steps + 1
        ends: list[Seconds] = []
        self._engine.run(
            _NeverStop(), float("inf"), lambda *_: ends.append(alternation.clocks())
        )
        return alternation.since(ends[len(self._groups) - 1], ends[-1])


class _NeverStop:
    """Replaces `StopSignals`: nothing asks the engine to stop."""

    received = None
