"""Loss and accuracy of tasks that choose one of several classes."""

from __future__ import annotations

import tensorflow as tf


def cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.0
) -> tf.Tensor:
    """Returns the mean cross-entropy with smoothed one-hot targets, in nats.

    Args:
      logits: float32 [B, K].
      labels: int32 [B] in [0, K).
      smoothing: share of each target that is spread evenly over all K classes.

    Returns:
      float32 scalar.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if smoothing:
        mean = tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        losses = (1.0 - smoothing) * losses - smoothing * mean
    return tf.reduce_mean(losses)


def accuracy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the share of examples whose most likely class is the label.

    Args:
      logits: float32 [B, K].
      labels: int32 [B] in [0, K).

    Returns:
      float32 scalar.
    """
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(predicted == labels, tf.float32))
