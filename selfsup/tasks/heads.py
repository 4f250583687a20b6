"""Parts that several heads share (paper section 3.4)."""

import dataclasses

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D
from selfsup.trunk.residual import ResidualUnit


def logits_layer(outputs, weight_decay, name="logits"):
    """The last layer of a classifier, over the last axis; always float32.

    Its small initial weights make an untrained head start at the loss of guessing.
    """
    return keras.layers.Dense(
        outputs,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        kernel_regularizer=keras.regularizers.L2(weight_decay / 2),
        dtype="float32",
        name=name,
    )


class ConfiguredHead(keras.layers.Layer):
    """A head that is made from its task's config.

    Attributes:
      Config: the task's config dataclass, set by subclasses.
      config: an object of it.
    """

    Config = None

    def __init__(self, config, dtype=None, **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.config = config

    def get_config(self):
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "config": cls.Config(**config["config"])})


class PatchEmbedding(keras.layers.Layer):
    """Two residual units of stride 2, flattened: a vector for each patch.

    `[N, 12, 12, 1024]` features of a 96x96 patch become `[N, 3 * 3 * 512]`.

    Args:
      channels: pair, output channels of the two units.
      bottleneck_channels: of both units.
      weight_decay: factor of half the squared L2 norm of each kernel.
    """

    def __init__(
        self,
        channels,
        bottleneck_channels,
        weight_decay,
        dtype=None,
        name="embedding",
        **kwargs,
    ):
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.channels = tuple(channels)
        self.bottleneck_channels = bottleneck_channels
        self.weight_decay = weight_decay
        self.units = [
            ResidualUnit(
                width,
                bottleneck_channels,
                stride=2,
                weight_decay=weight_decay,
                dtype=dtype,
                name=f"unit{index}",
            )
            for index, width in enumerate(self.channels, start=1)
        ]
        self.flatten = keras.layers.Flatten(dtype=dtype)

    def call(self, features, training=False):
        for unit in self.units:
            features = unit(features, training=training)
        return self.flatten(features)

    def size(self, features_shape):
        """Length of the vectors for features of this static shape, [N, h, w, C]."""
        height, width = (-(-side // 4) for side in features_shape[1:3])
        return height * width * self.channels[-1]

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "bottleneck_channels": self.bottleneck_channels,
            "weight_decay": self.weight_decay,
        }


class DenseHead(keras.layers.Layer):
    """Wide convolutions at the features' resolution, then logits for each place.

    The trunk's raw sums are normalised and rectified first, as TF-Slim does behind
    its last unit: plain convolutions, unlike residual units, do not do it themselves.

    Args:
      outputs: logits at each place.
      channels: of every hidden convolution.
      kernel_sizes: one for each hidden convolution.
      weight_decay: factor of half the squared L2 norm of each kernel.
    """

    def __init__(
        self,
        outputs,
        channels,
        kernel_sizes,
        weight_decay,
        dtype=None,
        name="head",
        **kwargs,
    ):
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.outputs = outputs
        self.channels = channels
        self.kernel_sizes = tuple(kernel_sizes)
        self.weight_decay = weight_decay
        self.postnorm = BatchNorm(dtype=dtype, name="postnorm")
        self.convs = [
            Conv2D(channels, size, weight_decay, dtype=dtype, name=f"conv{index}")
            for index, size in enumerate(self.kernel_sizes, start=1)
        ]
        self.logits = logits_layer(outputs, weight_decay)

    def call(self, features, training=False):
        """[B, h, w, C] features to [B, h, w, outputs] float32 logits."""
        net = tf.nn.relu(self.postnorm(features, training=training))
        for conv in self.convs:
            net = tf.nn.relu(conv(net))
        return self.logits(net)

    def get_config(self):
        return {
            **super().get_config(),
            "outputs": self.outputs,
            "channels": self.channels,
            "kernel_sizes": self.kernel_sizes,
            "weight_decay": self.weight_decay,
        }
