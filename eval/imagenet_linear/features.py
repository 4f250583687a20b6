"""Features for linear layers: block 3, max-pooled and standardised (paper section 5)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from eval.imagenet_linear.combinations import Combinations
from eval.imagenet_linear.pooling import max_pool_to
from selfsup.common.errors import UserError
from selfsup.trunk.batch_norm_recalibration import PooledMoments
from selfsup.trunk.layers import BATCH_NORM_EPSILON


class FrozenFeatures(tf.Module):
    """Rows of features of a frozen trunk, for linear layers.

    The last row is the evaluation's: of block 3's last unit, or of the lasso's
    combination. With probes the rows before it are of block 3's units, so that with or
    without the lasso row m is of unit m. A combination has a row of alpha for each
    learning rate, and so features for each of them.

    Block 3 ends in an un-normalised sum whose scale differs by orders of magnitude
    between trunks. Each channel is standardised by moments measured on training
    photos: a linear layer can express the same functions with and without, but only so
    does one ladder of learning rates suit all trunks. Features are divided by the square
    root of their number, so that their mean squared norm is 1.

    Attributes:
      names: of the rows.
      unit_rows: how many of them are of units.
      combinations: the lasso's `Combinations`, or None.
    """

    def __init__(self, trunk, config, lasso: float = 0.0):
        """
        Args:
          trunk: a `Trunk`.
          config: a `Config`.
          lasso: weight of the L1 penalty on alpha; 0 for the last unit.
        """
        super().__init__(name="frozen_features")
        self._trunk = trunk
        self._cells = config.pool_size
        self._stride = config.output_stride
        self.combinations = None
        count = trunk.num_units
        numbers = range(1, count + 1)
        if lasso:
            numbers = numbers if config.probe_units else ()
            self.combinations = Combinations(
                len(config.learning_rates), count, trunk.channels, lasso, self._cells
            )
        elif not config.probe_units:
            numbers = (count,)
        self.unit_rows = len(numbers)
        self.names = [f"unit_{number}" for number in numbers]
        if lasso:
            self.names.append("combination")
        shape = [self.unit_rows, trunk.channels]
        self._mean = tf.Variable(tf.zeros(shape), trainable=False)
        self._deviation = tf.Variable(tf.ones(shape), trainable=False)

    @property
    def size(self) -> int:
        """F, features of a photo in each row."""
        return self._cells**2 * self._trunk.channels

    def own(self, features: tf.Tensor, rate: int) -> tf.Tensor:
        """What the evaluation's layer at the learning rate of index `rate` reads.

        Args:
          features: float32 [G, B, F] of a call.
          rate: index in the ladder.

        Returns:
          float32 [B, F].
        """
        return features[-1 if self.combinations is None else self.unit_rows + rate]

    def _units(self, images):
        """List of float32 [B, H, W, C] of the units that are read."""
        if len(self.names) == 1 and self.combinations is None:
            return [self._trunk(images, output_stride=self._stride)]
        return self._trunk.unit_outputs(images, output_stride=self._stride)

    def _pooled(self, units):
        """Float32 [unit rows, B, cells * cells, C] of the outputs of units."""
        pooled = [max_pool_to(unit, self._cells) for unit in units[: self.unit_rows]]
        shape = [self.unit_rows, -1, self._cells**2, self._trunk.channels]
        return tf.reshape(tf.stack(pooled), shape)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Features of images float32 [B, S, S, 3] in [0, 1].

        Returns:
          float32 [G, B, F]: the G are the unit rows, then a combination for each rate.
        """
        units, groups = self._units(images), []
        if self.unit_rows:
            mean, deviation = self._mean[:, None, None], self._deviation[:, None, None]
            groups.append((self._pooled(units) - mean) / deviation)
        if self.combinations is not None:
            groups.append(self.combinations(tf.stack(units)))
        groups = [tf.reshape(one, [one.shape[0], -1, self.size]) for one in groups]
        return tf.concat(groups, axis=0) / self.size**0.5

    def measure(self, batches: Iterable[tf.Tensor]):
        """Sets the moments to those of some photos.

        Args:
          batches: of float32 [B, S, S, 3] in [0, 1].

        Raises:
          UserError: when features are not finite.
        """
        units = tf.function(self._units, reduce_retracing=True)
        stream = (units(images) for images in batches)
        moments = [PooledMoments() for _ in range(self.unit_rows)]
        stream = self._observed(moments, stream)
        if self.combinations is None:
            for _ in stream:
                pass
        else:
            self.combinations.measure(tf.stack(one) for one in stream)
        self._check_finite(moments)
        for row, one in enumerate(moments):
            self._mean[row].assign(one.mean)
            self._deviation[row].assign(np.sqrt(one.variance + BATCH_NORM_EPSILON))

    def _observed(self, moments, stream):
        """Yields what `stream` does, after adding it to the moments of the rows."""
        for units in stream:
            if moments:
                for one, pooled in zip(moments, self._pooled(units)):
                    one(pooled)
            yield units

    def _check_finite(self, moments):
        measured = [value for one in moments for value in (one.mean, one.variance)]
        if self.combinations is not None:
            measured += [variable.numpy() for variable in self.combinations.variables]
        if not all(np.all(np.isfinite(values)) for values in measured):
            raise UserError(
                "the trunk's features are not finite: its weights hold NaN or infinity"
            )
