"""The head that says what is in a proposal: block 4, then class and box layers."""

import tensorflow as tf
from official.vision.modeling.layers.roi_aligner import MultilevelROIAligner

from eval.voc07_detection.anchors import LEVEL
from selfsup.keras import keras

# Of the trunk's output as block 4 sees it: without atrous rates, at stride 1.
_PLAIN_STRIDE = 32


class BoxHead(tf.Module):
    """Crops of block 3, block 4 on each, its mean, two linear layers."""

    def __init__(self, block4, classes, crop_size):
        """
        Args:
          block4: a `Block4`.
          classes: C, their number, without background.
          crop_size: side of the crops, before 2x2 max pooling.
        """
        super().__init__(name="box_head")
        self.block4 = block4
        self._crop = MultilevelROIAligner(crop_size=crop_size)
        self._classes = _dense(classes + 1, 0.01, "classes", block4.channels)
        self._boxes = _dense(4 * (classes + 1), 0.001, "boxes", block4.channels)

    def pooled(self, features, proposals, training=False):
        """Block 4's mean for each proposal: float32 [B, K, channels].

        Args:
          features: float32 [B, h, w, channels], block 3 at stride 16.
          proposals: float32 [B, K, 4] (ymin, xmin, ymax, xmax) in pixels.
          training: whether batch statistics normalise.
        """
        crops = self._crop({LEVEL: features}, proposals)
        batch, number, *shape = tf.unstack(tf.shape(crops))
        crops = tf.reshape(crops, tf.stack([batch * number, *shape]))
        crops = tf.ensure_shape(crops, [None, None, None, features.shape[-1]])
        crops = tf.nn.max_pool2d(crops, 2, 2, "VALID")
        net = self.block4(crops, training=training, output_stride=_PLAIN_STRIDE)
        net = tf.reduce_mean(net, [1, 2])
        return tf.reshape(net, [-1, proposals.shape[1], self.block4.channels])

    def __call__(self, features, proposals):
        """Arguments as of `pooled`.

        Returns:
          (logits [B, K, C + 1], background first; offsets [B, K, 4 (C + 1)], those of a
          class side by side).
        """
        net = self.pooled(features, proposals)
        return self._classes(net), self._boxes(net)


def _dense(units, deviation, name, channels):
    initializer = keras.initializers.RandomNormal(stddev=deviation)
    layer = keras.layers.Dense(units, kernel_initializer=initializer, name=name)
    with tf.name_scope(name):
        layer.build([None, channels])
    return layer
