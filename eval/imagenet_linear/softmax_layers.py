"""Softmax layers that are trained side by side, and measures of their outputs."""

from __future__ import annotations

import tensorflow as tf


class SoftmaxLayers(tf.Module):
    """Linear layers on rows of features; all weights start at 0.

    Each row of features has several layers that read the same features. Their kernels lie
    side by side, so that one matrix product computes all of them.

    Attributes:
      kernel: float32 [rows, size, layers * classes].
      bias: float32 [rows, layers * classes].
    """

    def __init__(self, rows: int, size: int, layers: int, classes: int) -> None:
        """
        Args:
          rows: R, number of rows of features.
          size: F, number of features in a row.
          layers: number of layers per row.
          classes: number of outputs of a layer.
        """
        super().__init__(name="softmax_layers")
        self._shape = (rows, size, layers, classes)
        self.kernel = tf.Variable(tf.zeros([rows, size, layers * classes]))
        self.bias = tf.Variable(tf.zeros([rows, layers * classes]))

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Maps features, float32 [R, B, F], to logits, float32 [R, layers, B, classes]."""
        rows, _, layers, classes = self._shape
        logits = tf.matmul(features, self.kernel) + self.bias[:, None]
        logits = tf.reshape(logits, [rows, -1, layers, classes])
        return tf.transpose(logits, [0, 2, 1, 3])

    def squares(self) -> tf.Tensor:
        """Half the squared norm of the kernel of each layer: float32 [R, layers]."""
        kernel = tf.reshape(self.kernel, self._shape)
        return 0.5 * tf.reduce_sum(tf.square(kernel), axis=[1, 3])


def cross_entropies(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each photo, in nats.

    Args:
      logits: float32 [..., B, C].
      labels: int64 [B], in [0, C).

    Returns:
      float32 [..., B].
    """
    labels = tf.broadcast_to(labels, tf.shape(logits)[:-1])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def hits(logits: tf.Tensor, labels: tf.Tensor, count: int) -> tf.Tensor:
    """Whether the true class is among the `count` classes of the largest logits.

    Ties and values that are not numbers count as misses.

    Args:
      logits: float32 [..., B, C].
      labels: int64 [B], in [0, C).
      count: number of classes, at least 1.

    Returns:
      float32 [..., B], 1 for a hit and 0 for a miss.
    """
    classes = tf.shape(logits)[-1]
    is_label = tf.one_hot(labels, classes, on_value=True, off_value=False)
    score = tf.reduce_sum(tf.where(is_label, logits, 0.0), axis=-1, keepdims=True)
    # Negated, so that a comparison with NaN counts against the true class.
    not_below = tf.logical_not(logits < score)
    rank = tf.reduce_sum(tf.cast(not_below, tf.int32), axis=-1) - 1
    return tf.cast(rank < count, tf.float32)
