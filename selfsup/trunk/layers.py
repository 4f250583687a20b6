"""Batch normalisation and convolution with TF-Slim's settings (paper section 3.1)."""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from selfsup.keras import keras

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BATCH_NORM_MOMENTUM = 0.997
BATCH_NORM_EPSILON = 1e-5

_native_dilation = contextvars.ContextVar("native_dilation", default=False)


def build_sublayer(
    layer: keras.layers.Layer, input_shape: Sequence[int | None]
) -> None:
    """Builds `layer` immediately and prefixes its variables' names with its own name."""
    with tf.name_scope(layer.name):
        layer.build(input_shape)


class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation with TF-Slim's momentum and epsilon."""

    def __init__(
        self,
        momentum: float = BATCH_NORM_MOMENTUM,
        epsilon: float = BATCH_NORM_EPSILON,
        **kwargs: Any,  # Keyword arguments of Keras's BatchNormalization.
    ) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)


@contextlib.contextmanager
def native_dilation() -> Iterator[None]:
    """Makes graphs that are traced inside compute atrous convolutions by dilation.

    For graphs that are converted and run elsewhere: the dilated convolution is a single
    operation there. It computes the same, but has no gradient on some devices.
    """
    token = _native_dilation.set(True)
    try:
        yield
    finally:
        _native_dilation.reset(token)


def atrous_conv2d(inputs: tf.Tensor, kernel: tf.Tensor, rate: int) -> tf.Tensor:
    """Convolves with SAME padding and an atrous rate.

    TensorFlow's own dilated convolution has no gradient on CPUs without oneDNN.
    Therefore this function rearranges the padded input by space-to-batch and runs an
    ordinary convolution. The result is exact for every size, static or dynamic. Within
    `native_dilation` it runs the dilated convolution.

    Args:
      inputs: floating [N, H, W, C].
      kernel: [k, k, C, D] of the same dtype; k is odd if `rate` is above 1.
      rate: distance in pixels between neighbouring taps of the kernel.

    Returns:
      [N, H, W, D] of the same dtype.
    """
    if rate == 1 or kernel.shape[0] == 1:
        return tf.nn.conv2d(inputs, kernel, 1, padding="SAME")
    margin = (kernel.shape[0] // 2) * rate
    if _native_dilation.get():
        # Padded here, because ONNX Runtime has no SAME padding of dilated convolutions.
        sides = [margin, margin]
        net = tf.pad(inputs, [[0, 0], sides, sides, [0, 0]])
        return tf.nn.conv2d(net, kernel, 1, padding="VALID", dilations=rate)
    sizes = [
        tf.shape(inputs)[axis] if inputs.shape[axis] is None else inputs.shape[axis]
        for axis in (1, 2)
    ]
    # The padding that makes the size a multiple of the rate.
    extra = [-size % rate for size in sizes]
    net = tf.space_to_batch(
        inputs, [rate, rate], [[margin, margin + more] for more in extra]
    )
    net = tf.nn.conv2d(net, kernel, 1, padding="VALID")
    return tf.batch_to_space(net, [rate, rate], [[0, more] for more in extra])


class SpaceToBatch:
    """Runs an atrous block as dense convolutions on its phases, where that is exact.

    Space-to-batch is used if `enabled`, `rate` is above 1, and `rate` divides the
    static height and width of `net`. Otherwise `enter` and `leave` return their input.

    Args:
      net: input of the block, [N, H, W, C].
      rate: atrous rate r of the block.
      enabled: whether space-to-batch may be used.

    Attributes:
      rate: atrous rate of the convolutions between `enter` and `leave`.
    """

    def __init__(self, net: tf.Tensor, rate: int, enabled: bool) -> None:
        self._block = rate if enabled and rate > 1 and _divides(rate, net) else 1
        self.rate = 1 if self._block > 1 else rate

    def enter(self, net: tf.Tensor) -> tf.Tensor:
        """Separates the phases: [N, H, W, C] -> [r*r*N, H/r, W/r, C]."""
        if self._block == 1:
            return net
        return tf.space_to_batch(net, [self._block] * 2, [[0, 0], [0, 0]])

    def leave(self, net: tf.Tensor) -> tf.Tensor:
        """Merges the phases: [r*r*N, H/r, W/r, C] -> [N, H, W, C]."""
        if self._block == 1:
            return net
        return tf.batch_to_space(net, [self._block] * 2, [[0, 0], [0, 0]])


def _divides(rate: int, net: tf.Tensor) -> bool:
    """Whether the height and width of `net` are static multiples of `rate`."""
    height, width = net.shape[1:3]
    return bool(height and width) and height % rate == 0 and width % rate == 0


class Conv2D(keras.layers.Conv2D):
    """A convolution that takes its stride and atrous rate with each call.

    A strided convolution pads like Slim's `conv2d_same`: (k - 1) / 2 pixels on every
    side, for odd and even sizes. Its output therefore equals a subsampled SAME
    convolution. (TensorFlow's own SAME padding is shifted by one pixel for even sizes.)

    Args:
      filters: output channels.
      kernel_size: side of the square kernel.
      weight_decay: factor of half the squared L2 norm of the kernel.
      **kwargs: other arguments of `keras.layers.Conv2D`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        weight_decay: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(weight_decay / 2),
            **kwargs,
        )
        self.weight_decay = weight_decay

    def call(self, inputs: tf.Tensor, stride: int = 1, rate: int = 1) -> tf.Tensor:
        """Convolves `inputs`.

        Args:
          inputs: [N, H, W, C] of the layer's compute dtype.
          stride: output stride s of this call.
          rate: atrous rate of this call.

        Returns:
          [N, ceil(H/s), ceil(W/s), filters] of the same dtype.

        Raises:
          ValueError: if both `stride` and `rate` are above 1.
        """
        if stride > 1 and rate > 1:
            raise ValueError(
                f"a convolution cannot have stride {stride} and atrous rate {rate}: "
                "one of them must be 1"
            )
        if stride > 1:
            span = self.kernel_size[0] - 1
            margin = [span // 2, span - span // 2]
            inputs = tf.pad(inputs, [[0, 0], margin, margin, [0, 0]])
            outputs = tf.nn.conv2d(inputs, self.kernel, stride, padding="VALID")
        else:
            outputs = atrous_conv2d(inputs, self.kernel, rate)
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; Keras rebuilds the layer from them."""
        base = keras.layers.Layer.get_config(self)
        return {
            **base,
            "filters": self.filters,
            "kernel_size": self.kernel_size[0],
            "weight_decay": self.weight_decay,
            "use_bias": self.use_bias,
        }
