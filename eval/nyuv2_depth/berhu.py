"""The reverse Huber loss (Laina et al., 3DV 2016, section 3.4)."""

from __future__ import annotations

import tensorflow as tf


def berhu(
    predicted: tf.Tensor, truth: tf.Tensor, valid: tf.Tensor, share: float = 0.2
) -> tf.Tensor:
    """Mean over the valid pixels of |x| up to c and of (x^2 + c^2) / 2c above c.

    x is the error of a pixel. c is `share` times the largest error of the batch, and
    gradients treat it as a constant.

    Args:
      predicted: float32 [B, H, W], metres.
      truth: float32 [B, H, W], metres.
      valid: bool [B, H, W]; other pixels do not count, and may hold any value.
      share: ratio of c to the largest error, in (0, 1].

    Returns:
      float32 scalar; 0 without any valid pixel.
    """
    # Masked first, because the gradient of an expression with NaN is NaN.
    difference = tf.where(valid, predicted - truth, 0.0)
    error = tf.abs(difference)
    c = tf.stop_gradient(share * tf.reduce_max(error))
    # If all errors are 0, no pixel is above c, and the limit only avoids 0 / 0.
    quadratic = (difference**2 + c**2) / (2.0 * tf.maximum(c, 1e-6))
    losses = tf.where(error <= c, error, quadratic)
    count = tf.reduce_sum(tf.cast(valid, tf.float32))
    return tf.math.divide_no_nan(tf.reduce_sum(losses), count)
