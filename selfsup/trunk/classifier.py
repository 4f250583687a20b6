"""A linear classifier on the mean of a tail's output."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import build_sublayer


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
