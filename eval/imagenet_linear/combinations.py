"""The lasso's combinations of units, standardised for every value of alpha."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval.imagenet_linear.pooling import max_pool_to
from selfsup.pretraining.combination import Combination
from selfsup.trunk.batch_norm_recalibration import PooledMoments
from selfsup.trunk.layers import BATCH_NORM_EPSILON


class UnitMoments:
    """Mean of each unit, and covariance between units, for each channel.

    The moments are over all positions of all batches. Batches are pooled by the parallel
    form of Welford's update, as in `PooledMoments`.

    Attributes:
      mean: float64 [M, C].
    """

    def __init__(self) -> None:
        self._count = 0
        self.mean: npt.NDArray[np.float64] = np.zeros([])
        self._products: npt.NDArray[np.float64] = np.zeros([])

    def __call__(self, units: tf.Tensor) -> None:
        """Adds a batch of units, float32 [M, B, H, W, C]."""
        mean, covariance = (value.numpy() for value in _moments(units))
        mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
        count = int(np.prod(units.shape[1:4]))
        total = self._count + count
        delta = mean - self.mean
        between = np.einsum("mc,nc->cmn", delta, delta)
        self._products = (
            self._products + covariance * count + between * self._count * count / total
        )
        self.mean = self.mean + delta * count / total
        self._count = total

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """Population covariance, float64 [C, M, M]."""
        return self._products / self._count


def _moments(units: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean [M, C] and covariance [C, M, M] of float32 [M, B, H, W, C]."""
    channels = tf.transpose(units, [4, 0, 1, 2, 3])
    channels = tf.reshape(channels, [*channels.shape[:2], -1])
    mean = tf.reduce_mean(channels, axis=2, keepdims=True)
    channels -= mean
    count = tf.cast(tf.shape(channels)[2], tf.float32)
    covariance = tf.matmul(channels, channels, transpose_b=True) / count
    return tf.transpose(mean[..., 0]), covariance


class Combinations(tf.Module):
    """Weighted sums of units, max-pooled and standardised, each with its own alpha.

    The mean and variance of a sum before pooling follow exactly from its row of alpha,
    the means of the units and the covariance C between them (the variance is a'Ca).
    Standardising commutes with max-pooling, because it subtracts a number from a channel
    and divides it by a positive number. The effect of pooling on the moments (a maximum
    of standardised values is above 0 and varies less) hardly depends on alpha and is
    measured for the first row.

    All of this is a function of alpha that gradients pass through. If it were constant,
    alpha would be rewarded for a larger scale of the features.
    """

    def __init__(
        self, count: int, units: int, channels: int, l1: float, cells: int
    ) -> None:
        """
        Args:
          count: number of combinations.
          units: M, the trunk's number of units.
          channels: C, their channels.
          l1: weight of the penalty on each row of alpha.
          cells: side of the grid that combinations are max-pooled to.
        """
        super().__init__(name="combinations")
        self._names = [f"row_{number}" for number in range(count)]
        self._combination = Combination(self._names, units, l1=l1)
        self._cells = cells
        self._mean = _constant(tf.zeros([units, channels]))
        self._covariance = _constant(tf.zeros([channels, units, units]))
        self._pooled_mean = _constant(tf.zeros([channels]))
        self._pooled_deviation = _constant(tf.ones([channels]))

    def alpha_variables(self) -> list[tf.Variable]:
        """The variables from which the rows of alpha are computed."""
        return [self._combination.variable(name) for name in self._names]

    def penalties(self) -> tf.Tensor:
        """L1 penalty on each row: float32 [count]."""
        return tf.stack([self._combination.penalty(name) for name in self._names])

    def alpha(self) -> tf.Tensor:
        """All rows, of L2 norm 1: float32 [count, M]."""
        return self._combination.alpha()

    def pooled(self, units: tf.Tensor) -> tf.Tensor:
        """Combines units and max-pools the combinations, without standardising them.

        Args:
          units: float32 [M, B, H, W, C].

        Returns:
          float32 [count, B, cells^2, C].
        """
        sums = tf.tensordot(self.alpha(), units, 1)
        count, channels = len(self._names), units.shape[-1]
        pooled = max_pool_to(
            tf.reshape(sums, [-1, *units.shape[2:4], channels]), self._cells
        )
        return tf.reshape(pooled, [count, -1, self._cells**2, channels])

    def __call__(self, units: tf.Tensor) -> tf.Tensor:
        """Combines, max-pools and standardises units.

        Args:
          units: float32 [M, B, H, W, C].

        Returns:
          float32 [count, B, cells^2, C], with mean 0 and variance 1 in each channel.
        """
        mean, deviation = self._map_moments()
        net = (self.pooled(units) - mean[:, None, None]) / deviation[:, None, None]
        return (net - self._pooled_mean) / self._pooled_deviation

    def _map_moments(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and deviation of the sums before pooling, float32 [count, C] each."""
        alpha = self.alpha()
        variance = tf.einsum("km,cmn,kn->kc", alpha, self._covariance, alpha)
        deviation = tf.sqrt(tf.nn.relu(variance) + BATCH_NORM_EPSILON)
        return tf.matmul(alpha, self._mean), deviation

    def measure(self, batches: Iterable[tf.Tensor]) -> None:
        """Measures the constants on some photos, while all rows of alpha are equal.

        Args:
          batches: units, float32 [M, B, H, W, C] each.
        """
        moments, pooled_moments = UnitMoments(), PooledMoments()
        for units in batches:
            moments(units)
            pooled_moments(self.pooled(units)[0])
        self._set(moments, pooled_moments)

    def _set(self, moments: UnitMoments, pooled_moments: PooledMoments) -> None:
        self._mean.assign(moments.mean)
        self._covariance.assign(moments.covariance)
        mean, deviation = (moment[0].numpy() for moment in self._map_moments())
        pooled_deviation = np.sqrt(pooled_moments.variance + BATCH_NORM_EPSILON)
        self._pooled_mean.assign((pooled_moments.mean - mean) / deviation)
        self._pooled_deviation.assign(pooled_deviation / deviation)


def _constant(values: tf.Tensor) -> tf.Variable:
    return tf.Variable(values, trainable=False)
