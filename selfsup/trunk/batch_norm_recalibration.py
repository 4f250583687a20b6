"""Re-measures the moving statistics of batch normalisation (design: BN).

Each task feeds images of its own kind through the shared trunk, so the moving
averages left by training are a mixture that fits none of them, and those of a random
trunk are not statistics at all: a pre-activation network explodes on them.
"""

import numpy as np
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.trunk.layers import BatchNorm


class PooledMoments:
    """Mean and variance per channel over all positions of all batches.

    Batches are pooled by the parallel form of Welford's update, so the result is that
    of one huge batch whatever their sizes.
    """

    def __init__(self):
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def __call__(self, inputs):
        """Adds `inputs`, [..., C]."""
        inputs = tf.cast(inputs, tf.float32)
        axes = list(range(inputs.shape.rank - 1))
        mean, variance = (
            moment.numpy().astype(np.float64)
            for moment in tf.nn.moments(inputs, axes=axes)
        )
        count = np.prod(inputs.shape[:-1])
        total = self.count + count
        delta = mean - self.mean
        self._squares += variance * count + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    @property
    def variance(self):
        """Population variance, float64 [C]."""
        return self._squares / self.count


def recalibrate_batch_norm(trunk, batches, *, block4=None, output_stride=None):
    """Sets all moving means and variances to those of the given images.

    One pass in training mode: every batch is normalised by its own statistics, and
    what enters each layer is pooled over all batches exactly. (Layers see what the
    layers before them make of batch statistics, which is what they saw in training.)
    Statistics depend on the output stride; measure at the one that will be used.

    Args:
      trunk: a `Trunk`, changed in place; its weights stay.
      batches: iterable of float32 [B, H, W, 3] in [0, 1]; sizes may differ.
      block4: a `Block4` to re-measure too, or None.
      output_stride: of the pass; the trunk's default when None.

    Returns:
      number of images used.

    Raises:
      UserError: without any image, or where activations are not finite. The moving
        statistics are then what they were.
    """
    parts = [trunk] if block4 is None else [trunk, block4]
    modules = [module for part in parts for module in part.submodules]
    layers = [module for module in modules if isinstance(module, BatchNorm)]
    before = [
        (layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in layers
    ]
    try:
        images = _observe(layers, parts, batches, output_stride)
        measured = [_finite(layer) for layer in layers]
    except BaseException:
        _assign(layers, before)
        raise
    finally:
        for layer in layers:
            layer.observer = None
    _assign(layers, measured)
    return images


def _observe(layers, parts, batches, output_stride):
    for layer in layers:
        layer.observer = PooledMoments()
    images = 0
    for batch in batches:
        net = tf.convert_to_tensor(batch)
        images += net.shape[0]
        for part in parts:
            net = part(net, training=True, output_stride=output_stride)
    if not images:
        raise UserError("batch norm recalibration: no images were given")
    return images


def _finite(layer):
    moments = layer.observer
    if not np.all(np.isfinite(moments.mean) & np.isfinite(moments.variance)):
        raise UserError(
            "batch norm recalibration: activations are not finite; the weights or the "
            "images hold NaN or infinity"
        )
    return moments.mean, moments.variance


def _assign(layers, statistics):
    for layer, (mean, variance) in zip(layers, statistics):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
