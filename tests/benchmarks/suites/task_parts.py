"""Where the time of a task's whole step goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.data import manifest, pipeline
from selfsup.hybrid.rmsprop import NAMED, RMSProp
from selfsup.pretraining import configuration, presets
from selfsup.pretraining.network import MultiTaskNetwork, batch_scalars, build_network
from selfsup.tasks.relative_position import RelativePositionConfig
from tests.benchmarks import alternation
from tests.benchmarks.alternation import Contestant, InProcess, Seconds
from tests.benchmarks.input import speed
from tests.benchmarks.loop import workloads
from tests.benchmarks.suites.options import Options
from tests.benchmarks.table import Table

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig
    from selfsup.tasks.task import Task

_WHOLE = "whole step"
# Batches that may lie ready in the pipeline's buffers.
_BUFFERED = 6


def print_table(options: Options) -> None:
    """Prints each part's time relative to the whole step on a batch in memory."""
    config = configuration.resolve(
        options.preset, presets.DEFAULT_TASKS, task_overrides=options.task_overrides
    )
    print(
        f"Parts of the steps of the preset {options.preset}, each by itself, relative to "
        "the whole step on a batch in memory (quartiles). Input runs beside the step: it "
        "costs processor time, but no step waits for it."
    )
    table = Table("task", "images a step", "part", "ms", "elapsed", "processor")
    with tempfile.TemporaryDirectory() as folder:
        speed.write_synthetic(folder)
        sets = manifest.find(folder)
        for name in config.tasks:
            task_sets = pipeline.select_sets(
                build_network(config, [name]).tasks[name].features, sets
            )
            source = pipeline.DatasetSplit(task_sets, "train")
            _print_rows(table, config, name, source, options)
    for task in config.tasks.values():
        if isinstance(task, RelativePositionConfig):
            passes = task.patches_per_photo / task.pairs_per_photo
            print(f"Relative position: {passes:.3f} trunk passes a pair, instead of 2.")


def _print_rows(
    table: Table,
    config: RunConfig,
    name: str,
    source: pipeline.DatasetSplit,
    options: Options,
) -> None:
    parts = _Parts(config, name)
    contestants: dict[str, Contestant] = {
        "input": _Input(parts.task, source),
        **dict(parts.contestants()),
    }
    rounds = alternation.measure(contestants, options.rounds, options.seconds)
    for part in contestants:
        table.add(
            name,
            str(parts.images.shape[0]),
            part,
            f"{1e3 * rounds.elapsed(part):.1f}",
            str(rounds.ratio(part, _WHOLE)),
            str(rounds.processor_ratio(part, _WHOLE)),
        )


class _Input:
    """Batches of the input pipeline, on synthetic photos and frames."""

    def __init__(self, task: Task, source: pipeline.DatasetSplit) -> None:
        size = task.config.batch_size
        self._batches = iter(pipeline.training_batches(task, source, 1, 0, size))

    def run(self, steps: int) -> Seconds:
        """Takes batches, after those that are ready."""
        for _ in range(_BUFFERED):
            next(self._batches)
        return InProcess(lambda: next(self._batches)).run(steps)


class _Parts:
    """The parts of a task's step on the same batch.

    Attributes:
      task: the task.
      images: what the trunk receives.
    """

    def __init__(self, config: RunConfig, name: str) -> None:
        self._name = name
        self._network: MultiTaskNetwork = build_network(config, [name])
        self.task = self._network.tasks[name]
        self._seed = tf.constant([1, 2])
        size = config.tasks[name].batch_size
        self._examples = workloads.synthetic_batch(self.task, size)
        self._network.build(name, self._examples)
        self.images, self._targets = self.task.preprocess_batch(
            self._examples, self._seed
        )
        stride = self.task.output_stride
        self._features = self._network.trunk(self.images, output_stride=stride)
        self._outputs = self._network.heads[name](self._features)
        self._variables = self._network.trained_variables(name)
        self._optimizer = RMSProp(self._variables, NAMED[config.rmsprop])
        self._gradients = [tf.ones_like(each) for each in self._variables]

    def contestants(self) -> Iterator[tuple[str, InProcess]]:
        """Yields each part by name, and the whole step."""
        for part, step, arguments in (
            ("preprocessing", self.task.preprocess_batch, (self._examples, self._seed)),
            ("trunk", self._trunk, (self.images, self._features)),
            ("head", self._head, (self._features, self._outputs)),
            ("loss and metrics", self._loss, (self._outputs, self._targets)),
            ("weight decay", self._decay, ()),
            ("optimizer", self._apply, (self._gradients,)),
            (_WHOLE, self._whole, (self._examples, self._seed)),
        ):
            function = tf.function(step, autograph=False)
            yield (
                part,
                InProcess(
                    lambda function=function, arguments=arguments: function(*arguments),
                    _wait,
                ),
            )

    def _trunk(self, images: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
        trunk = self._network.trunk
        with tf.GradientTape() as tape:
            features = trunk(
                images, training=True, output_stride=self.task.output_stride
            )
        return tape.gradient(features, trunk.trainable_variables, upstream)

    def _head(self, features: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
        head = self._network.heads[self._name]
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = head(features, training=True)
        return tape.gradient(outputs, [features, *head.trainable_variables], upstream)

    def _loss(
        self, outputs: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            loss = self.task.loss(outputs, targets)
        scalars = batch_scalars(self.task, loss, outputs, targets)
        return tape.gradient(loss, outputs), scalars

    def _decay(self) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            penalty = self._network.penalty(self._name)
        found = tape.gradient(penalty, self._variables)
        return [penalty, *(each for each in found if each is not None)]

    def _apply(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        self._optimizer.apply(self._variables, gradients, 0.0)
        return tf.constant(0)

    def _whole(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            total, logs = self._network.objective(self._name, examples, seed)
        gradients = tape.gradient(total, self._variables)
        self._optimizer.apply(self._variables, gradients, 0.0)
        return total, logs


def _wait(result: object) -> None:
    """Waits until TensorFlow has computed the tensors."""
    tf.nest.flatten(result)[0].numpy()
