"""The reverse Huber loss (Laina et al., 3DV 2016, section 3.4)."""

import tensorflow as tf


def berhu(predicted, truth, valid, share=0.2):
    """The mean over valid pixels: |x| up to c, (x^2 + c^2) / 2c beyond.

    c is `share` of the batch's largest error, and a constant to the gradient.

    Args:
      predicted: float32 [B, H, W], metres.
      truth: float32 [B, H, W], metres.
      valid: bool [B, H, W]; other pixels count for nothing, whatever they hold.
      share: of the largest error.

    Returns:
      scalar float32; 0 without any valid pixel.
    """
    # Before anything is computed of them: the gradient of a NaN stays one.
    difference = tf.where(valid, predicted - truth, 0.0)
    error = tf.abs(difference)
    c = tf.stop_gradient(share * tf.reduce_max(error))
    # Without any error there is no pixel beyond c.
    quadratic = (difference**2 + c**2) / (2.0 * tf.maximum(c, 1e-6))
    each = tf.where(error <= c, error, quadratic)
    count = tf.reduce_sum(tf.cast(valid, tf.float32))
    return tf.math.divide_no_nan(tf.reduce_sum(each), count)
