"""Held-out numbers and pictures of a task during pretraining."""

import numpy as np
import tensorflow as tf

from selfsup.data import pipeline
from selfsup.pretraining.health import Rectifiers
from selfsup.pretraining.network import scalars


class Validator:
    """Measures one task on held-out records.

    Batch normalisation uses the batch's own statistics, as in training, and leaves the
    moving averages alone: those mix all tasks' inputs and fit no single task's.

    Attributes:
      stand_ins: held-out examples, of the last pass, that stood in for lost records.
    """

    def __init__(self, network, name, source, batch_size, max_batches, seed=0):
        """
        Args:
          network: a `MultiTaskNetwork`.
          name: the task.
          source: `pipeline.RecordSource` of held-out records.
          batch_size: examples a batch.
          max_batches: how many to look at, at most.
          seed: of preprocessing; the same at each call.
        """
        self._network = network
        self._name = name
        self._seed = tf.constant([seed, 0], tf.int32)
        task = network.tasks[name]
        self._batches = pipeline.validation_batches(
            task, source, seed, batch_size
        ).take(max_batches)
        self._forward = tf.function(self._traced_forward)
        self.stand_ins = 0

    def _traced_forward(self, examples, number):
        network, name = self._network, self._name
        task = network.tasks[name]
        statistics = network.statistics(name)
        before = [tf.identity(variable) for variable in statistics]
        seed = self._seed + tf.stack([0, number])
        images, targets = task.preprocess_batch(examples, seed)
        with Rectifiers() as rectifiers:
            outputs = network(name, images, training=True)
        for variable, value in zip(statistics, before):
            variable.assign(value)
        loss = task.loss(outputs, targets)
        values = scalars(task, loss, outputs, targets)
        return values, (images, outputs, targets), rectifiers.dead_units()

    def measure(self):
        """Mean of each scalar of `multitask.scalars` over the batches: dict of floats."""
        rows = []
        self.stand_ins = 0
        for number, batch in enumerate(self._batches):
            examples, stand_ins = pipeline.split_replaced_shard(batch)
            self.stand_ins += int(np.sum(stand_ins.numpy() >= 0))
            values, _, _ = self._forward(examples, tf.constant(number, tf.int32))
            rows.append({key: float(value) for key, value in values.items()})
        return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

    def pictures(self):
        """The task's pictures of the first batch: dict of uint8 [H, W, 3]."""
        _, seen, _ = self._first_batch()
        images, outputs, targets = tf.nest.map_structure(lambda one: one.numpy(), seen)
        return self._network.tasks[self._name].pictures(images, outputs, targets)

    def dead_units(self):
        """The units that are zero at all positions of the first batch.

        Returns:
          dict of bool [C] by layer, as of `health.Rectifiers`.
        """
        _, _, dead = self._first_batch()
        return {layer: units.numpy() for layer, units in dead.items()}

    def _first_batch(self):
        examples, _ = pipeline.split_replaced_shard(next(iter(self._batches)))
        return self._forward(examples, tf.constant(0, tf.int32))
