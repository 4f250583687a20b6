"""Decoding only the part of a photo that is wanted."""

import tensorflow as tf


def decode_window(encoded, choose):
    """Decodes a rectangle of a photo; of a JPEG, little more than that.

    Args:
      encoded: scalar string, JPEG or PNG.
      choose: (height, width), int32 scalars of the whole photo -> (top, left, height,
        width) of the rectangle, int32 scalars.

    Returns:
      uint8 [h, w, 3].
    """
    image, _ = decode_chosen_window(encoded, lambda *size: (choose(*size), ()))
    return image


def decode_chosen_window(encoded, choose):
    """As `decode_window`, for a choice that tells more than the rectangle.

    Args:
      encoded: scalar string, JPEG or PNG.
      choose: (height, width), int32 scalars of the whole photo -> the rectangle as
        (top, left, height, width), int32 scalars, and a nest of tensors.

    Returns:
      uint8 [h, w, 3], and that nest.
    """

    def of_jpeg():
        shape = tf.image.extract_jpeg_shape(encoded)
        window, chosen = choose(shape[0], shape[1])
        image = tf.io.decode_and_crop_jpeg(encoded, tf.stack(window), channels=3)
        return image, chosen

    def of_other():
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        shape = tf.shape(image)
        (top, left, height, width), chosen = choose(shape[0], shape[1])
        return image[top : top + height, left : left + width], chosen

    image, chosen = tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_other)
    return tf.ensure_shape(image, [None, None, 3]), chosen


def is_jpeg_wider_than(encoded, limit):
    """Whether an encoded photo is a JPEG with both sides over `limit`: scalar bool."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.reduce_min(tf.image.extract_jpeg_shape(encoded)[:2]) > limit,
        lambda: False,
    )
