"""Block 4 and the classifier: not part of the trunk.

They serve the ImageNet-labels baseline, the box head of the detection evaluation
(section 5), and the import of published checkpoints.
"""

import dataclasses

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, build_sublayer
from selfsup.trunk.resnet_v2 import (
    DEPTHS,
    EXPANSION,
    PhaseSpace,
    TrunkConfig,
    build_block,
    check_output_stride,
    geometry,
    run_units,
)


class Block4(keras.Model):
    """Block 4 with Slim's `postnorm` and ReLU behind it.

    `block4(features)`: raw block 3 output [B, h, w, C] -> [B, h, w, 2C] float32.

    Args:
      config: the `TrunkConfig` of the trunk that it sits on.
    """

    def __init__(self, config=None, name="block4"):
        super().__init__(name=name)
        self.config = TrunkConfig() if config is None else config
        widths = [EXPANSION * width for width in DEPTHS[self.config.depth].bottlenecks]
        self.postnorm = BatchNorm(dtype=self.config.dtype_policy, name="postnorm")
        self.units = build_block(self.config, 3, widths[2])
        build_sublayer(self.postnorm, [None, None, None, widths[3]])
        self.built = True

    @property
    def channels(self):
        """Channels of the output."""
        return self.units[-1].channels

    def call(self, features, training=False, output_stride=None):
        """Normalised, rectified features.

        Args:
          features: float32 [B, h, w, C], the trunk's output.
          training: whether batch statistics normalise.
          output_stride: stride of the trunk's output, from which the atrous rate
            follows: 4 at stride 8, 2 at 16, 1 at 32 (also for box crops). The
            config's when None.

        Returns:
          float32 [B, h, w, 2C].
        """
        stride = self.config.output_stride if output_stride is None else output_stride
        check_output_stride(stride)
        space = PhaseSpace(features, geometry(stride)[3].rate, self.config.phases)
        net = space.enter(features)
        *_, net = run_units(self.units, net, training, rate=space.rate)
        net = tf.nn.relu(self.postnorm(net, training=training))
        return tf.cast(space.leave(net), tf.float32)

    def get_config(self):
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(TrunkConfig(**config["config"]), name=config["name"])


class Classifier(keras.Model):
    """Slim's `logits`: the mean over the map, then a linear layer.

    `classifier(block4_output)`: [B, h, w, C] -> [B, classes] float32.

    Args:
      classes: number of classes.
      channels: C.
      weight_decay: factor of half the squared L2 norm of the kernel.
    """

    def __init__(self, classes, channels, weight_decay=1e-4, name="logits"):
        super().__init__(name=name)
        self.classes = classes
        self.channels = channels
        self.weight_decay = weight_decay
        self.dense = keras.layers.Dense(
            classes,
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(weight_decay / 2),
            name="dense",
        )
        with tf.name_scope(name):
            build_sublayer(self.dense, [None, channels])
        self.built = True

    def call(self, features):
        return self.dense(tf.reduce_mean(features, axis=[1, 2]))

    def get_config(self):
        return {
            "classes": self.classes,
            "channels": self.channels,
            "weight_decay": self.weight_decay,
            "name": self.name,
        }
