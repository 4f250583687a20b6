"""A small problem of two tasks over one trunk, with workers as slow as one likes."""

import time

import numpy as np
import tensorflow as tf

from selfsup.hybrid.assignment import even_share
from selfsup.hybrid.workload import Model, Replica, Workload

TASKS = ("short", "long")
BATCH = 32
_INPUTS, _UNITS, _CLASSES = 32, 64, 10
_HELD_OUT = 1024
_MOST_WORKERS = 8
# The label of so many examples is another than the teacher's: a loss of 0 is not to be
# had, and gradients stay noisy.
_NOISE = 0.1
# Of the inputs, by task.
_SCALES = {
    TASKS[0]: np.ones(_INPUTS, np.float32),
    TASKS[1]: np.repeat(np.float32([1.0, 0.3]), _INPUTS // 2),
}


class Network(tf.Module):
    """A trunk of two dense layers, and a linear head for each task."""

    def __init__(self, seed, tasks=TASKS):
        super().__init__()
        random = np.random.default_rng(seed)
        self.trunk = [
            tf.Variable(_weights(random, _INPUTS, _UNITS)),
            tf.Variable(_weights(random, _UNITS, _UNITS)),
        ]
        self.heads = {
            task: tf.Variable(_weights(random, _UNITS, _CLASSES)) for task in tasks
        }

    def features(self, inputs):
        """[B, 32] to [B, 64], both float32."""
        for weights in self.trunk:
            inputs = tf.nn.relu(inputs @ weights)
        return inputs

    def loss(self, task, features, labels):
        """Mean cross-entropy of `features` [B, 64] and labels int32 [B]."""
        logits = features @ self.heads[task]
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        )


class Problem:
    """Ten-way classification as a fixed network does it, whose trunk the tasks share.

    One task sees a half of its inputs scaled down, as tasks see photos pre-processed
    differently.
    """

    def __init__(self, seed):
        self._teacher = Network(seed)
        self._seed = seed
        self._held_out = {task: self.examples(task, -1, _HELD_OUT) for task in TASKS}

    def examples(self, task, number, size):
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

    def held_out_loss(self, network):
        """Mean over the tasks of the cross-entropy on examples not trained on."""
        losses = [
            network.loss(task, network.features(inputs), labels)
            for task, (inputs, labels) in self._held_out.items()
        ]
        return tf.add_n(losses) / len(losses)

    def workload(self, network, task, learning_rate, worker_seconds, updates):
        """The `Workload` of a task.

        Args:
          network: the master `Network`.
          task: of `TASKS`.
          learning_rate: of its RMSProp.
          worker_seconds: how long each worker of the task takes for a step.
          updates: function that gives the number of updates so far, which is logged as
            "begun_at" of a step.
        """

        def replica(network, index, count, seconds):
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

    def _batches(self, task, position, index, size):
        """Batches from a position on; each worker has examples of its own."""

        def batch(step):
            number = tf.cast(step, tf.int32) * _MOST_WORKERS + index
            return self.examples(task, number, size)

        return tf.data.Dataset.counter(position // size).map(batch).prefetch(4)


def _objective(network, task, seconds, updates):
    def objective(examples, seed):
        del seed
        inputs, labels = examples
        features = network.features(inputs)
        # After the pull and before the gradient: what comes meanwhile makes it stale.
        begun_at = _wait(features, seconds, updates)
        with tf.control_dependencies([begun_at]):
            loss = network.loss(task, tf.identity(features), labels)
        return loss, {"loss": loss, "begun_at": begun_at}

    return objective


def _wait(after, seconds, updates):
    """`updates()` once `after` is there, given out so many seconds later."""

    def sleep(_):
        begun_at = updates()
        time.sleep(seconds)
        return np.float32(begun_at)

    begun_at = tf.numpy_function(sleep, [tf.reduce_sum(after)], tf.float32)
    return tf.ensure_shape(begun_at, [])


def _weights(random, rows, columns):
    return (random.normal(size=(rows, columns)) * np.sqrt(2 / rows)).astype(np.float32)
