"""Features for linear layers: block 3, max-pooled and standardised (paper section 5)."""

import numpy as np
import tensorflow as tf

from selfsup.errors import UserError
from selfsup.trunk.batch_norm import PooledMoments
from selfsup.trunk.residual import BATCH_NORM_EPSILON


def max_pool_to(net, cells):
    """Max-pools a map to `cells` x `cells` by equal windows that cover all of it.

    The windows are floor(H / cells) apart and as large as it takes to reach the end, so
    that they overlap where H is no multiple: 14 to 3 by windows of 6 at stride 4.

    Args:
      net: [B, H, W, C], H and W static and at least `cells`.

    Returns:
      [B, cells, cells, C].
    """
    strides = [side // cells for side in net.shape[1:3]]
    windows = [
        side - (cells - 1) * stride for side, stride in zip(net.shape[1:3], strides)
    ]
    return tf.nn.max_pool2d(net, windows, strides, padding="VALID")


class FrozenFeatures(tf.Module):
    """Rows of features of a frozen trunk, each for a linear layer of its own.

    The last row is the evaluation's: of block 3's last unit, or of the lasso's
    combination. With probes the rows before it are of block 3's units, so that with or
    without the lasso row m is of unit m.

    Block 3 ends in an un-normalised sum whose scale differs by orders of magnitude
    between trunks. Each channel is standardised by constants measured on training
    photos: a linear layer can express the same functions with and without, but only so
    does one learning rate suit all trunks. Features are divided by the square root of
    their number, so that their mean squared norm is 1.

    Attributes:
      names: of the rows.
    """

    def __init__(self, features, config):
        """
        Args:
          features: a `TrunkFeatures`.
          config: a `Config`.
        """
        super().__init__(name="frozen_features")
        self._features = features
        self._pool_size = config.pool_size
        self._stride = config.output_stride
        self._all_units = config.probe_units
        self.names = self._row_names()
        shape = [len(self.names), features.trunk.channels]
        self._mean = tf.Variable(tf.zeros(shape), trainable=False)
        self._deviation = tf.Variable(tf.ones(shape), trainable=False)

    @property
    def size(self):
        """Features of a photo in each row."""
        return self._pool_size**2 * self._features.trunk.channels

    def _row_names(self):
        count = self._features.trunk.num_units
        units = [f"unit_{number}" for number in range(1, count + 1)]
        if self._features.combination is not None:
            return (units if self._all_units else []) + ["combination"]
        return units if self._all_units else units[-1:]

    def _pooled(self, images):
        """Float32 [R, B, cells * cells, C] of images float32 [B, S, S, 3] in [0, 1]."""
        if self._all_units:
            net, units = self._features.with_units(images, output_stride=self._stride)
        else:
            net, units = self._features(images, output_stride=self._stride), []
        rows = units if self._features.combination is not None else units[:-1]
        pooled = [max_pool_to(row, self._pool_size) for row in [*rows, net]]
        cells = self._pool_size**2
        return tf.stack([tf.reshape(row, [-1, cells, row.shape[-1]]) for row in pooled])

    def __call__(self, images):
        """Images float32 [B, S, S, 3] in [0, 1] -> float32 [R, B, F]."""
        pooled = self._pooled(images)
        scale = 1.0 / (self._deviation * self.size**0.5)
        net = (pooled - self._mean[:, None, None]) * scale[:, None, None]
        return tf.reshape(net, [len(self.names), -1, self.size])

    def measure(self, batches):
        """Sets the constants to those of the pooled features of some images.

        With the lasso these are of the combination that training begins from.

        Args:
          batches: iterable of float32 [B, S, S, 3] in [0, 1].
        """
        moments = [PooledMoments() for _ in self.names]
        pooled = tf.function(self._pooled, reduce_retracing=True)
        for images in batches:
            for one, rows in zip(moments, pooled(images)):
                one(rows)
        means = np.stack([one.mean for one in moments])
        variances = np.stack([one.variance for one in moments])
        if not (np.all(np.isfinite(means)) and np.all(np.isfinite(variances))):
            raise UserError(
                "the trunk's features are not finite: its weights hold NaN or infinity"
            )
        self._mean.assign(means)
        self._deviation.assign(np.sqrt(variances + BATCH_NORM_EPSILON))
