"""Block 4 and the classifier of ResNet-v2, which are not part of the trunk.

They serve the ImageNet-labels baseline, the box head of the detection evaluation
(paper section 5), and the import of published checkpoints.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, build_sublayer
from selfsup.trunk.resnet_v2 import (
    DEPTHS,
    EXPANSION,
    SpaceToBatch,
    TrunkConfig,
    block_geometries,
    build_block,
    check_output_stride,
    run_units,
)


class Block4(keras.Model):
    """Block 4, followed by Slim's `postnorm` and a ReLU.

    `block4(features)`: block 3's raw output [B, h, w, C] -> [B, h, w, 2C] float32.

    Args:
      config: that of the trunk below; None for the default `TrunkConfig`.

    Attributes:
      units: residual units of the block.
    """

    def __init__(self, config: TrunkConfig | None = None, name: str = "block4") -> None:
        super().__init__(name=name)
        self.config = TrunkConfig() if config is None else config
        widths = [EXPANSION * width for width in DEPTHS[self.config.depth].bottlenecks]
        self.postnorm = BatchNorm(dtype=self.config.dtype_policy, name="postnorm")
        self.units = build_block(self.config, 3, widths[2])
        build_sublayer(self.postnorm, [None, None, None, widths[3]])
        self.built = True

    @property
    def channels(self) -> int:
        """Channels of the output, 2C."""
        return self.units[-1].channels

    def call(
        self,
        features: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Computes normalised and rectified features.

        Args:
          features: float32 [B, h, w, C], the trunk's output.
          training: whether to normalise by the batch's own statistics and update the
            moving statistics.
          output_stride: stride of the trunk's output; None for the config's. It decides
            the atrous rate: 4 at stride 8, 2 at 16 and 1 at 32 (also for box crops).

        Returns:
          float32 [B, h, w, 2C].

        Raises:
          UserError: if the output stride is unknown.
        """
        stride = self.config.output_stride if output_stride is None else output_stride
        check_output_stride(stride)
        rate = block_geometries(stride)[3].rate
        space = SpaceToBatch(features, rate, self.config.phases)
        net = space.enter(features)
        *_, net = run_units(self.units, net, training, rate=space.rate)
        net = tf.nn.relu(self.postnorm(net, training=training))
        return tf.cast(space.leave(net), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON types."""
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Block4:
        """Builds a block with new weights from the result of `get_config`."""
        return cls(TrunkConfig(**config["config"]), name=config["name"])


class Classifier(keras.Model):
    """Slim's `logits`: the mean over all positions, then a linear layer.

    `classifier(features)`: block 4's output [B, h, w, D] -> [B, classes] float32.

    Args:
      classes: number of classes.
      channels: D.
      weight_decay: factor of half the squared L2 norm of the kernel.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        weight_decay: float = 1e-4,
        name: str = "logits",
    ) -> None:
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

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Maps float32 [B, h, w, D] to logits, float32 [B, classes]."""
        return self.dense(tf.reduce_mean(features, axis=[1, 2]))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; Keras rebuilds the model from them."""
        return {
            "classes": self.classes,
            "channels": self.channels,
            "weight_decay": self.weight_decay,
            "name": self.name,
        }
