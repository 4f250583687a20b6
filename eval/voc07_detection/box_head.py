"""The box head, which classifies and refines proposals: the tail and two linear layers."""

from __future__ import annotations

import tensorflow as tf
from official.vision.modeling.layers.roi_aligner import MultilevelROIAligner

from eval.voc07_detection.anchors import LEVEL
from selfsup.keras import keras
from selfsup.trunk.trunk import Tail

# At this output stride of the trunk, block 4 of a ResNet uses no atrous rates.
_PLAIN_STRIDE = 32


class BoxHead(tf.Module):
    """Crops of features, the trunk's tail on each crop, its mean, and two linear layers.

    Attributes:
      block4: the tail: block 4 of a ResNet.
    """

    def __init__(self, block4: Tail, classes: int, crop_size: int) -> None:
        """
        Args:
          block4: the tail.
          classes: C, the number of classes without background.
          crop_size: side of the crops, before 2x2 max-pooling.
        """
        super().__init__(name="box_head")
        self.block4 = block4
        self._crop = MultilevelROIAligner(crop_size=crop_size)
        self._classes = _dense(classes + 1, 0.01, "classes", block4.channels)
        self._boxes = _dense(4 * (classes + 1), 0.001, "boxes", block4.channels)

    def pooled(
        self, features: tf.Tensor, proposals: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Computes the mean of the tail's output for each proposal.

        Args:
          features: float32 [B, h, w, channels] at stride 16.
          proposals: float32 [B, K, 4] (ymin, xmin, ymax, xmax), pixels of the canvas.
          training: whether batch normalisation uses the statistics of the batch.

        Returns:
          float32 [B, K, channels of the tail].
        """
        crops = self._crop({LEVEL: features}, proposals)
        batch, number, *shape = tf.unstack(tf.shape(crops))
        crops = tf.reshape(crops, tf.stack([batch * number, *shape]))
        crops = tf.ensure_shape(crops, [None, None, None, features.shape[-1]])
        crops = tf.nn.max_pool2d(crops, 2, 2, "VALID")
        net = self.block4(crops, training=training, output_stride=_PLAIN_STRIDE)
        net = tf.reduce_mean(net, [1, 2])
        return tf.reshape(net, [-1, proposals.shape[1], self.block4.channels])

    def __call__(
        self, features: tf.Tensor, proposals: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Classifies and refines proposals.

        Args:
          features, proposals: see `pooled`.

        Returns:
          (logits [B, K, C + 1], background first; offsets [B, K, 4 (C + 1)], the four
          values of a class side by side).
        """
        net = self.pooled(features, proposals)
        return self._classes(net), self._boxes(net)


def _dense(
    units: int, deviation: float, name: str, channels: int
) -> keras.layers.Dense:
    initializer = keras.initializers.RandomNormal(stddev=deviation)
    layer = keras.layers.Dense(units, kernel_initializer=initializer, name=name)
    with tf.name_scope(name):
        layer.build([None, channels])
    return layer
