"""A small problem of two tasks with a shared trunk, and workers of any slowness."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.hybrid.assignment import even_share
from selfsup.hybrid.workload import Model, Replica, Workload

TASKS = ("short", "long")
BATCH = 32
_INPUTS, _UNITS, _CLASSES = 32, 64, 10
_HELD_OUT = 1024
_MOST_WORKERS = 8
# Share of the examples whose label is random, so that the loss cannot reach 0 and the
# gradients stay noisy.
_NOISE = 0.1
# Scales of the inputs by task.
_SCALES = {
    TASKS[0]: np.ones(_INPUTS, np.float32),
    TASKS[1]: np.repeat(np.array([1.0, 0.3], np.float32), _INPUTS // 2),
}

Examples = tuple[tf.Tensor, tf.Tensor]
Objective = Callable[[Examples, tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]


class Network(tf.Module):
    """A trunk of two dense layers, and a linear head for each task."""

    def __init__(self, seed: int, tasks: Sequence[str] = TASKS) -> None:
        super().__init__()
        random = np.random.default_rng(seed)
        self.trunk = [
            tf.Variable(_weights(random, _INPUTS, _UNITS)),
            tf.Variable(_weights(random, _UNITS, _UNITS)),
        ]
        self.heads = {
            task: tf.Variable(_weights(random, _UNITS, _CLASSES)) for task in tasks
        }

    def features(self, inputs: tf.Tensor) -> tf.Tensor:
        """Maps float32 [B, 32] to [B, 64]."""
        for weights in self.trunk:
            inputs = tf.nn.relu(inputs @ weights)
        return inputs

    def loss(self, task: str, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Mean cross-entropy of features [B, 64] and labels int32 [B]."""
        logits = features @ self.heads[task]
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        )


class Problem:
    """Ten-way classification, as a fixed network with a shared trunk does it.

    The second task sees half of its inputs scaled down, like tasks that preprocess
    photos differently.
    """

    def __init__(self, seed: int) -> None:
        self._teacher = Network(seed)
        self._seed = seed
        self._held_out = {task: self.examples(task, -1, _HELD_OUT) for task in TASKS}

    def examples(self, task: str, number: int | tf.Tensor, size: int) -> Examples:
        """Batch `number` of a task: inputs float32 [size, 32], labels int32 [size]."""
        seed = [self._seed * len(TASKS) + TASKS.index(task), number]
        inputs = tf.random.stateless_normal([size, _INPUTS], seed) * _SCALES[task]
        logits = self._teacher.features(inputs) @ self._teacher.heads[task]
        labels = tf.argmax(logits, axis=1, output_type=tf.int32)
        others = tf.random.stateless_uniform(
            [size], seed, maxval=_CLASSES, dtype=tf.int32
        )
        noise = tf.random.stateless_uniform([size], seed)
        return inputs, tf.where(noise < _NOISE, others, labels)

    def held_out_loss(self, network: Network) -> tf.Tensor:
        """Mean over the tasks of the cross-entropy on held-out examples."""
        losses = [
            network.loss(task, network.features(inputs), labels)
            for task, (inputs, labels) in self._held_out.items()
        ]
        return tf.add_n(losses) / len(losses)

    def workload(
        self,
        network: Network,
        task: str,
        learning_rate: float,
        worker_seconds: Sequence[float],
        updates: Callable[[], int],
    ) -> Workload:
        """Makes the workload of a task.

        Args:
          network: the master network.
          task: name in `TASKS`.
          learning_rate: learning rate of RMSProp.
          worker_seconds: seconds that each worker of the task takes for a step.
          updates: returns the number of updates so far, which each step logs as
            "begun_at".
        """

        def replica(
            network: Network, index: int, count: int, seconds: float
        ) -> Replica:
            size = even_share(BATCH, index, count)
            variables = [*network.trunk, network.heads[task]]
            return Replica(
                model=Model(_objective(network, task, seconds, updates), variables, []),
                batches=lambda position: self._batches(task, position, index, size),
                batch_size=size,
            )

        return Workload(
            name=task,
            master=replica(network, 0, 1, 0.0),
            learning_rate=learning_rate,
            seed=self._seed,
            make_replica=lambda index, count: replica(
                Network(self._seed, [task]), index, count, worker_seconds[index]
            ),
        )

    def _batches(
        self, task: str, position: int, index: int, size: int
    ) -> tf.data.Dataset:
        """Batches from a position on; each worker has different examples."""

        def batch(step: tf.Tensor) -> Examples:
            number = tf.cast(step, tf.int32) * _MOST_WORKERS + index
            return self.examples(task, number, size)

        return tf.data.Dataset.counter(position // size).map(batch).prefetch(4)


def _objective(
    network: Network, task: str, seconds: float, updates: Callable[[], int]
) -> Objective:
    def objective(
        examples: Examples, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del seed
        inputs, labels = examples
        features = network.features(inputs)
        # After the pull and before the gradient: updates meanwhile make it stale.
        begun_at = _sleep(features, seconds, updates)
        with tf.control_dependencies([begun_at]):
            loss = network.loss(task, tf.identity(features), labels)
        return loss, {"loss": loss, "begun_at": begun_at}

    return objective


def _sleep(after: tf.Tensor, seconds: float, updates: Callable[[], int]) -> tf.Tensor:
    """Calls `updates` once `after` is computed; gives its result after some seconds."""

    def sleep(_: npt.NDArray[np.float32]) -> np.float32:
        begun_at = updates()
        time.sleep(seconds)
        return np.float32(begun_at)

    begun_at = tf.numpy_function(sleep, [tf.reduce_sum(after)], tf.float32)
    return tf.ensure_shape(begun_at, [])


def _weights(
    random: np.random.Generator, rows: int, columns: int
) -> npt.NDArray[np.float32]:
    return (random.normal(size=(rows, columns)) * np.sqrt(2 / rows)).astype(np.float32)
