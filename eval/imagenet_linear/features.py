"""Features for linear layers: max-pooled and standardised (paper section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from eval.imagenet_linear.combinations import Combinations
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.pooling import max_pool_to
from selfsup.common.errors import UserError
from selfsup.trunk.batch_norm_recalibration import PooledMoments
from selfsup.trunk.layers import BATCH_NORM_EPSILON
from selfsup.trunk.trunk import Trunk


class FrozenFeatures(tf.Module):
    """Rows of features of a frozen trunk, for linear layers.

    The last row belongs to the evaluation: the trunk's last unit, or the lasso's
    combination of all units. With probes, the rows before it are the trunk's units, so
    that row m is unit m with and without the lasso. A combination has one row of alpha
    per learning rate, and so one group of features per learning rate.

    A ResNet ends in an un-normalised sum, whose scale differs by orders of magnitude
    between trunks. So each channel is standardised by moments that are measured on
    training photos. A linear layer can express the same functions with and without, but
    only with standardised features one ladder of learning rates suits all trunks.
    Features are divided by the square root of their number, so that their mean squared
    norm is 1.

    Attributes:
      names: names of the rows.
      unit_rows: number of rows that are units.
      combinations: the lasso's combinations, or None.
    """

    def __init__(self, trunk: Trunk, config: Config, lasso: float = 0.0) -> None:
        """
        Args:
          trunk: the trunk.
          config: the hyperparameters.
          lasso: weight of the L1 penalty on alpha; 0 reads the last unit.
        """
        super().__init__(name="frozen_features")
        self._trunk = trunk
        self._cells = config.pool_size
        self._stride = config.output_stride
        self.combinations: Combinations | None = None
        count = trunk.num_units
        numbers: Sequence[int] = range(1, count + 1)
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
        """F, the number of features of a photo in each row."""
        return self._cells**2 * self._trunk.channels

    def evaluation_row(self, features: tf.Tensor, rate: int) -> tf.Tensor:
        """Selects the features that the evaluation's layer at one learning rate reads.

        Args:
          features: float32 [G, B, F], the result of a call.
          rate: index of the learning rate.

        Returns:
          float32 [B, F].
        """
        return features[-1 if self.combinations is None else self.unit_rows + rate]

    def _units(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Outputs of the units that are read, float32 [B, H, W, C] each."""
        if len(self.names) == 1 and self.combinations is None:
            return [self._trunk(images, output_stride=self._stride)]
        return self._trunk.unit_outputs(images, output_stride=self._stride)

    def _pooled(self, units: Sequence[tf.Tensor]) -> tf.Tensor:
        """Max-pools units: float32 [unit_rows, B, cells^2, C]."""
        pooled = [max_pool_to(unit, self._cells) for unit in units[: self.unit_rows]]
        shape = [self.unit_rows, -1, self._cells**2, self._trunk.channels]
        return tf.reshape(tf.stack(pooled), shape)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Computes the features of images.

        Args:
          images: float32 [B, S, S, 3] in [0, 1].

        Returns:
          float32 [G, B, F]. The G groups are the unit rows, then one combination per
          learning rate.
        """
        units, groups = self._units(images), []
        if self.unit_rows:
            mean, deviation = self._mean[:, None, None], self._deviation[:, None, None]
            groups.append((self._pooled(units) - mean) / deviation)
        if self.combinations is not None:
            groups.append(self.combinations(tf.stack(units)))
        groups = [
            tf.reshape(group, [group.shape[0], -1, self.size]) for group in groups
        ]
        return tf.concat(groups, axis=0) / self.size**0.5

    def measure(self, batches: Iterable[tf.Tensor]) -> None:
        """Measures the moments on some photos.

        Args:
          batches: float32 [B, S, S, 3] in [0, 1] each.

        Raises:
          UserError: when features are not finite.
        """
        compute_units = tf.function(self._units, reduce_retracing=True)
        stream: Iterator[list[tf.Tensor]] = (
            compute_units(images) for images in batches
        )
        moments = [PooledMoments() for _ in range(self.unit_rows)]
        stream = self._observed(moments, stream)
        if self.combinations is None:
            for _ in stream:
                pass
        else:
            self.combinations.measure(tf.stack(units) for units in stream)
        self._check_finite(moments)
        for row, measured in enumerate(moments):
            self._mean[row].assign(measured.mean)
            deviation = np.sqrt(measured.variance + BATCH_NORM_EPSILON)
            self._deviation[row].assign(deviation)

    def _observed(
        self, moments: Sequence[PooledMoments], stream: Iterable[list[tf.Tensor]]
    ) -> Iterator[list[tf.Tensor]]:
        """Yields the elements of `stream`, after adding each to the moments of the rows."""
        for units in stream:
            if moments:
                for row_moments, pooled in zip(moments, self._pooled(units)):
                    row_moments(pooled)
            yield units

    def _check_finite(self, moments: Sequence[PooledMoments]) -> None:
        measured = [
            value
            for row_moments in moments
            for value in (row_moments.mean, row_moments.variance)
        ]
        if self.combinations is not None:
            measured += [variable.numpy() for variable in self.combinations.variables]
        if not all(np.all(np.isfinite(values)) for values in measured):
            raise UserError(
                "the trunk's features are not finite: its weights contain NaN or infinity"
            )
