"""Up-projection: residual up-sampling (Laina et al., 3DV 2016, sections 3.2 and 3.3).

Up-sampling is an un-pooling, which puts each feature at the upper left of a 2x2 cell of
zeros, and a 5x5 convolution of that. Three quarters of what such a convolution multiplies
are zeros: which of its taps meet features depends on the parity of the output's row and
column alone. So the taps of each parity are a small convolution of their own (3x3, 3x2,
2x3 and 2x2) at the lower resolution, and their four maps are interleaved.
"""

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

KERNEL_SIZE = 5


def unpool_conv2d(inputs, kernel):
    """Un-pooling by 2 and a SAME convolution with a 5x5 kernel, in the fast form.

    Args:
      inputs: [N, H, W, C].
      kernel: [5, 5, C, D].

    Returns:
      [N, 2H, 2W, D].
    """
    padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # Even rows meet the kernel's rows 0, 2, 4 and odd ones 1, 3, from one feature later
    # on; columns alike.
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

    The sum of two branches: an up-sampling, ReLU and a 3x3 convolution; and an
    up-sampling alone. A batch normalisation follows each convolution.

    Args:
      channels: of the output.
    """

    def __init__(self, channels, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.channels = channels
        # Both branches' up-samplings see the same input, so they are one.
        self.norm1 = BatchNorm(name="norm1")
        self.conv2 = Conv2D(channels, 3, 0.0, use_bias=False, name="conv2")
        self.norm2 = BatchNorm(name="norm2")

    def build(self, input_shape):
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

    def call(self, inputs, training=False):
        both = self.norm1(unpool_conv2d(inputs, self.kernel), training=training)
        net, shortcut = tf.split(both, 2, axis=-1)
        net = self.norm2(self.conv2(tf.nn.relu(net)), training=training)
        return tf.nn.relu(net + shortcut)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}
