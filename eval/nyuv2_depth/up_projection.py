"""Up-projection: residual up-sampling (Laina et al., 3DV 2016, sections 3.2 and 3.3).

Up-sampling is an un-pooling, which puts each feature at the upper left of a 2x2 cell of
zeros, and a 5x5 convolution. Three quarters of the values that this convolution multiplies
are zeros, and only the parity of the output's row and column decides which taps meet
features. So the taps of each parity form a smaller convolution (3x3, 3x2, 2x3 or 2x2) at
the lower resolution, and the four resulting maps are interleaved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

KERNEL_SIZE = 5


def unpool_conv2d(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Un-pools by 2 and applies a SAME convolution with a 5x5 kernel, in the fast form.

    Args:
      inputs: [N, H, W, C].
      kernel: [5, 5, C, D].

    Returns:
      [N, 2H, 2W, D].
    """
    padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # Even output rows meet rows 0, 2 and 4 of the kernel. Odd rows meet rows 1 and 3,
    # beginning one feature later. The same holds for columns.
    maps = [
        tf.nn.conv2d(
            padded[:, row:, column:], kernel[row::2, column::2], 1, padding="VALID"
        )
        for row in (0, 1)
        for column in (0, 1)
    ]
    return tf.nn.depth_to_space(tf.concat(maps, axis=-1), 2)


class UpProjection(keras.layers.Layer):
    """Doubles the resolution: [N, H, W, C] -> [N, 2H, 2W, channels], rectified.

    The result is the sum of two branches. The first is an up-sampling, a ReLU and a 3x3
    convolution; the second is only an up-sampling. Batch normalisation follows each
    convolution.

    Args:
      channels: channels of the output.
    """

    def __init__(self, channels: int, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.channels = channels
        # The up-samplings of both branches read the same input, so they are computed
        # together.
        self.norm1 = BatchNorm(name="norm1")
        self.conv2 = Conv2D(channels, 3, 0.0, use_bias=False, name="conv2")
        self.norm2 = BatchNorm(name="norm2")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the variables for an input [N, H, W, C]; only C matters."""
        shape = tf.TensorShape(input_shape).as_list()
        self.kernel = self.add_weight(
            name="kernel",
            shape=[KERNEL_SIZE, KERNEL_SIZE, shape[-1], 2 * self.channels],
            initializer="he_normal",
        )
        inner = [None, None, None, self.channels]
        build_sublayer(self.norm1, [None, None, None, 2 * self.channels])
        build_sublayer(self.conv2, inner)
        build_sublayer(self.norm2, inner)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Up-projects [N, H, W, C]; `training` uses the statistics of the batch."""
        both = self.norm1(unpool_conv2d(inputs, self.kernel), training=training)
        net, shortcut = tf.split(both, 2, axis=-1)
        net = self.norm2(self.conv2(tf.nn.relu(net)), training=training)
        return tf.nn.relu(net + shortcut)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for Keras."""
        return {**super().get_config(), "channels": self.channels}
