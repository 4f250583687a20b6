"""Batch normalisation and convolution with TF-Slim's settings (paper section 3.1)."""

import tensorflow as tf

from selfsup.keras import keras

BATCH_NORM_MOMENTUM = 0.997
BATCH_NORM_EPSILON = 1e-5


class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation at Slim's settings.

    Attributes:
      observer: called with the inputs in training mode when it is not None; see
        `batch_norm_recalibration.recalibrate_batch_norm`.
    """

    def __init__(
        self, momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, **kwargs
    ):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.observer = None

    def call(self, inputs, training=None):
        if self.observer is not None and training:
            self.observer(inputs)
        return super().call(inputs, training=training)


def atrous_conv2d(inputs, kernel, rate):
    """SAME convolution of atrous `rate`, exact for any size, static or not.

    TensorFlow's own dilated convolution has no gradient on CPUs without oneDNN, so
    this cuts the padded input into its phases around an ordinary convolution.

    Args:
      inputs: [N, H, W, C].
      kernel: [k, k, C, D], k odd where the rate is over 1.
      rate: int.

    Returns:
      [N, H, W, D].
    """
    if rate == 1 or kernel.shape[0] == 1:
        return tf.nn.conv2d(inputs, kernel, 1, padding="SAME")
    margin = (kernel.shape[0] // 2) * rate
    sizes = [
        tf.shape(inputs)[axis] if inputs.shape[axis] is None else inputs.shape[axis]
        for axis in (1, 2)
    ]
    extra = [-size % rate for size in sizes]
    net = tf.space_to_batch(
        inputs, [rate, rate], [[margin, margin + more] for more in extra]
    )
    net = tf.nn.conv2d(net, kernel, 1, padding="VALID")
    return tf.batch_to_space(net, [rate, rate], [[0, more] for more in extra])


class Conv2D(keras.layers.Conv2D):
    """Convolution whose stride and atrous rate are chosen at each call.

    Strided convolutions pad as Slim's `conv2d_same`: by (k - 1) / 2 on all sides,
    whether the size is odd or even, so that the output equals a subsampled SAME
    convolution. (TensorFlow's own SAME shifts by a pixel on even sizes.)

    Args:
      filters: output channels.
      kernel_size: side of the square kernel.
      weight_decay: factor of half the squared L2 norm of the kernel.
    """

    def __init__(self, filters, kernel_size, weight_decay=1e-4, **kwargs):
        super().__init__(
            filters,
            kernel_size,
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(weight_decay / 2),
            **kwargs,
        )
        self.weight_decay = weight_decay

    def call(self, inputs, stride=1, rate=1):
        if stride > 1 and rate > 1:
            raise ValueError(f"stride {stride} with atrous rate {rate}")
        if stride > 1:
            span = self.kernel_size[0] - 1
            margin = [span // 2, span - span // 2]
            inputs = tf.pad(inputs, [[0, 0], margin, margin, [0, 0]])
            outputs = tf.nn.conv2d(inputs, self.kernel, stride, padding="VALID")
        else:
            outputs = atrous_conv2d(inputs, self.kernel, rate)
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs

    def get_config(self):
        base = keras.layers.Layer.get_config(self)
        return {
            **base,
            "filters": self.filters,
            "kernel_size": self.kernel_size[0],
            "weight_decay": self.weight_decay,
            "use_bias": self.use_bias,
        }


def build_sublayer(layer, input_shape):
    """Builds `layer` at once, its variables named under its own name."""
    with tf.name_scope(layer.name):
        layer.build(input_shape)
