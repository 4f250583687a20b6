"""Softmax layers side by side, and what their outputs are judged by."""

from __future__ import annotations

import tensorflow as tf


class SoftmaxLayers(tf.Module):
    """Linear layers on rows of features; their weights start at 0.

    Each row has `layers` layers that read the same features. Their kernels lie side by
    side, so that one matrix product computes all of them.
    """

    def __init__(self, rows: int, size: int, layers: int, classes: int):
        """
        Args:
          rows, size: of the features.
          layers: of each row.
          classes: outputs of each layer.
        """
        super().__init__(name="softmax_layers")
        self._shape = (rows, size, layers, classes)
        self.kernel = tf.Variable(tf.zeros([rows, size, layers * classes]))
        self.bias = tf.Variable(tf.zeros([rows, layers * classes]))

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Features float32 [R, B, F] -> logits float32 [R, layers, B, classes]."""
        rows, _, layers, classes = self._shape
        logits = tf.matmul(features, self.kernel) + self.bias[:, None]
        logits = tf.reshape(logits, [rows, -1, layers, classes])
        return tf.transpose(logits, [0, 2, 1, 3])

    def squares(self) -> tf.Tensor:
        """Half the squared norm of each layer's kernel: float32 [R, layers]."""
        kernel = tf.reshape(self.kernel, self._shape)
        return 0.5 * tf.reduce_sum(tf.square(kernel), axis=[1, 3])


def cross_entropies(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Nats of each photo: logits [..., B, C], labels int64 [B] -> float32 [..., B]."""
    labels = tf.broadcast_to(labels, tf.shape(logits)[:-1])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def hits(logits: tf.Tensor, labels: tf.Tensor, count: int) -> tf.Tensor:
    """Whether the true class is among the `count` best.

    Ties and what is not a number count against it.

    Args:
      logits: float32 [..., B, C].
      labels: int64 [B].
      count: 1 or more.

    Returns:
      float32 of 0 and 1, [..., B].
    """
    classes = tf.shape(logits)[-1]
    own_class = tf.one_hot(labels, classes, on_value=True, off_value=False)
    own = tf.reduce_sum(tf.where(own_class, logits, 0.0), axis=-1, keepdims=True)
    not_below = tf.logical_not(logits < own)
    rank = tf.reduce_sum(tf.cast(not_below, tf.int32), axis=-1) - 1
    return tf.cast(rank < count, tf.float32)
