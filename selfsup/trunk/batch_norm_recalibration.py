"""Measures the moving statistics of batch normalisation again, on given images.

During multi-task training each task feeds its own kind of images through the shared
trunk. The moving averages therefore mix several kinds of images and fit none of them.
The moving averages of a random trunk are only initial values, with which the
activations of a pre-activation network explode.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras

# Mean and variance per channel, [C] each.
Moments = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


class NetworkPart(Protocol):
    """A part of a network whose batch normalisation can be recalibrated.

    `Trunk`, `Tail` and the networks of the evaluations have this interface.
    """

    @property
    def submodules(self) -> Sequence[tf.Module]:
        """All layers of the part. Those that normalise batches are built."""

    def __call__(
        self, inputs: tf.Tensor, /, *, training: bool, output_stride: int | None
    ) -> tf.Tensor:
        """Maps [B, H, W, C] to [B, h, w, D]; the last part's result is not used."""


class PooledMoments:
    """Mean and variance per channel over all positions of all batches.

    Batches are pooled by the parallel form of Welford's update. The result equals that
    of a single batch of all inputs, even if the batch sizes differ.

    Attributes:
      count: number of positions so far.
      mean: float64 [C], or 0.0 before the first batch.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: npt.NDArray[np.float64] | float = 0.0
        self._squares: npt.NDArray[np.float64] | float = 0.0

    def __call__(self, inputs: tf.Tensor) -> None:
        """Adds the positions of `inputs`, a numeric tensor [..., C]."""
        inputs = tf.cast(inputs, tf.float32)
        axes = list(range(inputs.shape.rank - 1))
        mean, variance = (
            moment.numpy().astype(np.float64)
            for moment in tf.nn.moments(inputs, axes=axes)
        )
        count = int(np.prod(inputs.shape[:-1]))
        total = self.count + count
        delta = mean - self.mean
        self._squares += variance * count + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    @property
    def variance(self) -> npt.NDArray[np.float64] | float:
        """Population variance, float64 [C]."""
        return self._squares / self.count


def recalibrate_batch_norm(
    trunk: NetworkPart,
    batches: Iterable[tf.Tensor | npt.NDArray[np.float32]],
    *,
    block4: NetworkPart | None = None,
    output_stride: int | None = None,
) -> int:
    """Sets all moving means and variances to the statistics of the given images.

    The images pass through the network once, in training mode: each batch is normalised
    by its own statistics, as in training. The inputs of each batch normalisation are
    pooled over all batches, exactly. The statistics depend on the output stride, so
    measure them with the stride of the later use.

    Args:
      trunk: maps images to features. Only its moving statistics change.
      batches: float32 [B, H, W, 3] in [0, 1]; sizes may differ between batches.
      block4: maps the trunk's features onwards and is recalibrated too; or None.
      output_stride: stride of the pass; None for the default of each part.

    Returns:
      Number of images.

    Raises:
      UserError: if `batches` has no image, or activations are not finite. The moving
        statistics keep their old values.
    """
    parts = [trunk] if block4 is None else [trunk, block4]
    modules = [module for part in parts for module in part.submodules]
    layers = [
        module
        for module in modules
        if isinstance(module, keras.layers.BatchNormalization)
    ]
    before = [
        (layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in layers
    ]
    moments = [PooledMoments() for _ in layers]
    try:
        with _observed(layers, moments):
            images = _run(parts, batches, output_stride)
        measured = [_finite(pooled) for pooled in moments]
    except BaseException:
        # The pass in training mode has moved the statistics.
        _assign(layers, before)
        raise
    _assign(layers, measured)
    return images


def _run(
    parts: Sequence[NetworkPart],
    batches: Iterable[tf.Tensor | npt.NDArray[np.float32]],
    output_stride: int | None,
) -> int:
    """Passes all batches through `parts` in training mode; returns the image count."""
    images = 0
    for batch in batches:
        net = tf.convert_to_tensor(batch)
        images += net.shape[0]
        for part in parts:
            net = part(net, training=True, output_stride=output_stride)
    if not images:
        raise UserError(
            "batch norm recalibration received no images; it needs at least one"
        )
    return images


@contextlib.contextmanager
def _observed(
    layers: Sequence[keras.layers.BatchNormalization], moments: Sequence[PooledMoments]
) -> Iterator[None]:
    """Passes the inputs of each layer to its moments, within the context."""

    def observing(
        layer: keras.layers.BatchNormalization, observer: PooledMoments
    ) -> Any:
        call = layer.call

        def observe(inputs: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
            observer(inputs)
            return call(inputs, *args, **kwargs)

        return observe

    try:
        for layer, observer in zip(layers, moments):
            layer.call = observing(layer, observer)
        yield
    finally:
        for layer in layers:
            # The method of the class is visible again.
            vars(layer).pop("call", None)


def _finite(moments: PooledMoments) -> Moments:
    """Mean and variance of `moments`; raises UserError unless all are finite."""
    mean, variance = np.asarray(moments.mean), np.asarray(moments.variance)
    if not np.all(np.isfinite(mean) & np.isfinite(variance)):
        raise UserError(
            "batch norm recalibration: activations are not finite; the weights or the "
            "images contain NaN or infinity"
        )
    return mean, variance


def _assign(
    layers: Sequence[keras.layers.BatchNormalization], statistics: Sequence[Moments]
) -> None:
    """Sets the moving mean and variance of each layer."""
    for layer, (mean, variance) in zip(layers, statistics):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
