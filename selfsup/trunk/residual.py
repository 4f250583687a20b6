"""Pre-activation bottleneck residual units, as in TF-Slim's `bottleneck_v2`.

The trunk is a stack of these units (paper section 3.1), and several heads contain them
(section 3.4). He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ResidualUnit(keras.layers.Layer):
    """A full pre-activation bottleneck unit: [N, H, W, C] -> [N, H/s, W/s, channels].

    The output is the raw sum of shortcut and residual, neither normalised nor
    rectified. The shortcut is the input itself, subsampled if the unit has a stride. If
    the unit changes the number of channels, the shortcut is a 1x1 convolution of the
    normalised and rectified input instead.

    Args:
      channels: output channels.
      bottleneck_channels: channels of the two inner convolutions.
      stride: default stride of a call.
      kernel_size: side of the middle convolution's kernel. With 1, the unit is fully
        connected on inputs [N, 1, 1, C] (section 3.4, relative position).
      weight_decay: factor of half the squared L2 norm of each kernel.
      dtype: Keras dtype or dtype policy of all layers of the unit.
      **kwargs: other arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        channels: int,
        bottleneck_channels: int,
        stride: int = 1,
        kernel_size: int = 3,
        weight_decay: float = 1e-4,
        dtype: str | keras.mixed_precision.Policy | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.channels = channels
        self.bottleneck_channels = bottleneck_channels
        self.stride = stride
        self.kernel_size = kernel_size
        self.weight_decay = weight_decay

        def conv(filters: int, size: int, use_bias: bool, name: str) -> Conv2D:
            return Conv2D(
                filters, size, weight_decay, use_bias=use_bias, dtype=dtype, name=name
            )

        self.preact = BatchNorm(dtype=dtype, name="preact")
        # `build` replaces None where the number of channels changes.
        self.shortcut: Conv2D | None = None
        self._new_shortcut: Callable[[], Conv2D] = lambda: conv(
            channels, 1, True, "shortcut"
        )
        self.conv1 = conv(bottleneck_channels, 1, False, "conv1")
        self.norm1 = BatchNorm(dtype=dtype, name="norm1")
        self.conv2 = conv(bottleneck_channels, kernel_size, False, "conv2")
        self.norm2 = BatchNorm(dtype=dtype, name="norm2")
        self.conv3 = conv(channels, 1, True, "conv3")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates all variables for inputs of the static shape [N, H, W, C]."""
        shape = tf.TensorShape(input_shape).as_list()
        inner = shape[:3] + [self.bottleneck_channels]
        build_sublayer(self.preact, shape)
        if shape[3] != self.channels:
            self.shortcut = self._new_shortcut()
            build_sublayer(self.shortcut, shape)
        build_sublayer(self.conv1, shape)
        for layer in (self.norm1, self.conv2, self.norm2, self.conv3):
            build_sublayer(layer, inner)
        super().build(input_shape)

    def call(
        self,
        inputs: tf.Tensor,
        training: bool = False,
        stride: int | None = None,
        rate: int = 1,
    ) -> tf.Tensor:
        """Computes the unit's raw output.

        Args:
          inputs: [N, H, W, C] of the unit's compute dtype.
          training: whether to normalise by the batch's own statistics.
          stride: stride s of this call; None for the constructor's.
          rate: atrous rate of the middle convolution.

        Returns:
          [N, ceil(H/s), ceil(W/s), channels] of the same dtype.
        """
        stride = self.stride if stride is None else stride
        preact = tf.nn.relu(self.preact(inputs, training=training))
        if self.shortcut is not None:
            shortcut = self.shortcut(preact, stride=stride)
        else:
            shortcut = inputs[:, ::stride, ::stride] if stride > 1 else inputs
        net = self.conv1(preact)
        net = tf.nn.relu(self.norm1(net, training=training))
        net = self.conv2(net, stride=stride, rate=rate)
        net = tf.nn.relu(self.norm2(net, training=training))
        return shortcut + self.conv3(net)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; Keras rebuilds the unit from them."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "bottleneck_channels": self.bottleneck_channels,
            "stride": self.stride,
            "kernel_size": self.kernel_size,
            "weight_decay": self.weight_decay,
        }
