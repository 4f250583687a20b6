"""Validates a task during pretraining: held-out scalars, pictures and dead units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.data import pipeline
from selfsup.data.pipeline import DatasetSplit
from selfsup.pretraining.dead_units import ReluOutputs
from selfsup.pretraining.network import MultiTaskNetwork, batch_scalars

# Scalars by name; (images, outputs, targets); dead units, bool [C] by layer.
_ForwardPass = tuple[
    dict[str, tf.Tensor],
    tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]],
    dict[str, tf.Tensor],
]


class Validator:
    """Measures one task on held-out records.

    Batch normalisation uses the statistics of the batch, as in training, and leaves the
    moving averages unchanged. Those mix the inputs of all tasks and fit none of them.

    Attributes:
      num_replacements: number of held-out examples in the last pass that replaced records
        missing because of damaged shards.
    """

    def __init__(
        self,
        network: MultiTaskNetwork,
        name: str,
        source: DatasetSplit,
        batch_size: int,
        max_batches: int,
        seed: int = 0,
    ) -> None:
        """
        Args:
          network: the network to measure.
          name: the task.
          source: the held-out records.
          batch_size: examples in a batch.
          max_batches: the most batches to read.
          seed: of the preprocessing; every pass uses the same seed.
        """
        self._network = network
        self._name = name
        self._seed = tf.constant([seed, 0], tf.int32)
        batches = pipeline.validation_batches(
            network.tasks[name], source, seed, batch_size
        )
        self._batches = batches.take(max_batches)
        self._forward = tf.function(self._traced_forward)
        self.num_replacements = 0

    def _traced_forward(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> _ForwardPass:
        network, name = self._network, self._name
        task = network.tasks[name]
        statistics = network.statistics(name)
        before = [tf.identity(variable) for variable in statistics]
        seed = self._seed + tf.stack([0, number])
        images, targets = task.preprocess_batch(examples, seed)
        with ReluOutputs() as relus:
            outputs = network(name, images, training=True)
        for variable, value in zip(statistics, before):
            variable.assign(value)
        values = batch_scalars(task, task.loss(outputs, targets), outputs, targets)
        return values, (images, outputs, targets), relus.dead_units()

    def measure(self) -> dict[str, float]:
        """Returns the mean over the batches of each scalar of `network.batch_scalars`."""
        rows = []
        self.num_replacements = 0
        for number, batch in enumerate(self._batches):
            examples, replaced = pipeline.split_replaced_shard(batch)
            self.num_replacements += int(np.sum(replaced.numpy() >= 0))
            values, _, _ = self._forward(examples, tf.constant(number, tf.int32))
            rows.append({key: float(value) for key, value in values.items()})
        return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

    def pictures(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Returns the task's pictures of the first batch: uint8 [H, W, 3] by name."""
        _, tensors, _ = self._first_batch()
        arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), tensors)
        return self._network.tasks[self._name].pictures(*arrays)

    def dead_units(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Finds the units that are zero at all positions of the first batch.

        Returns:
          bool [C] by layer, see `dead_units.ReluOutputs`.
        """
        _, _, dead = self._first_batch()
        return {layer: units.numpy() for layer, units in dead.items()}

    def _first_batch(self) -> _ForwardPass:
        examples, _ = pipeline.split_replaced_shard(next(iter(self._batches)))
        return self._forward(examples, tf.constant(0, tf.int32))
