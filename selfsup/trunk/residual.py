"""Pre-activation bottleneck residual units, as in TF-Slim's `bottleneck_v2`.

The trunk is a stack of them (paper section 3.1), and so are several heads (section
3.4). He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016.
"""

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer


class ResidualUnit(keras.layers.Layer):
    """Full pre-activation bottleneck unit: [N, H, W, C] -> [N, H/s, W/s, channels].

    The output is the raw sum of shortcut and residual, not normalised and not
    rectified. The shortcut is the input itself (subsampled when strided), or, where
    the number of channels changes, a 1x1 convolution of the pre-activation.

    Args:
      channels: output channels.
      bottleneck_channels: channels of the two inner convolutions.
      stride: default stride of a call.
      kernel_size: of the middle convolution; 1 makes the unit fully connected on
        [N, 1, 1, C] inputs (section 3.4, relative position).
      weight_decay: factor of half the squared L2 norm of each kernel.
    """

    def __init__(
        self,
        channels,
        bottleneck_channels,
        stride=1,
        kernel_size=3,
        weight_decay=1e-4,
        dtype=None,
        name=None,
        **kwargs,
    ):
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.channels = channels
        self.bottleneck_channels = bottleneck_channels
        self.stride = stride
        self.kernel_size = kernel_size
        self.weight_decay = weight_decay

        def conv(filters, size, use_bias, name):
            return Conv2D(
                filters, size, weight_decay, use_bias=use_bias, dtype=dtype, name=name
            )

        self.preact = BatchNorm(dtype=dtype, name="preact")
        self.shortcut = None
        self._new_shortcut = lambda: conv(channels, 1, True, "shortcut")
        self.conv1 = conv(bottleneck_channels, 1, False, "conv1")
        self.norm1 = BatchNorm(dtype=dtype, name="norm1")
        self.conv2 = conv(bottleneck_channels, kernel_size, False, "conv2")
        self.norm2 = BatchNorm(dtype=dtype, name="norm2")
        self.conv3 = conv(channels, 1, True, "conv3")

    def build(self, input_shape):
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

    def call(self, inputs, training=False, stride=None, rate=1):
        """Returns the unit's raw output.

        Args:
          inputs: [N, H, W, C].
          training: whether batch statistics normalise.
          stride: of this call; the constructor's when None.
          rate: atrous rate of the middle convolution.
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

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "bottleneck_channels": self.bottleneck_channels,
            "stride": self.stride,
            "kernel_size": self.kernel_size,
            "weight_decay": self.weight_decay,
        }
