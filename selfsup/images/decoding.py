"""Decodes only a rectangle of a photo."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

# (top, left, height, width) of a rectangle, int32 scalars.
Window = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
# A nest of tensors.
_Nest = TypeVar("_Nest")


def decode_window(
    encoded: tf.Tensor, choose: Callable[[tf.Tensor, tf.Tensor], Window]
) -> tf.Tensor:
    """Decodes a rectangle of a photo; little more than that of a JPEG is decoded.

    Args:
      encoded: scalar string, JPEG or PNG.
      choose: chooses the rectangle, given the photo's height and width as int32 scalars.

    Returns:
      uint8 [h, w, 3].
    """
    image, _ = decode_chosen_window(encoded, lambda *size: (choose(*size), ()))
    return image


def decode_chosen_window(
    encoded: tf.Tensor,
    choose: Callable[[tf.Tensor, tf.Tensor], tuple[Window, _Nest]],
) -> tuple[tf.Tensor, _Nest]:
    """Decodes a rectangle, where the choice has results beside the rectangle.

    Args:
      encoded: scalar string, JPEG or PNG.
      choose: returns the rectangle and a nest of tensors, given the photo's height and
        width as int32 scalars.

    Returns:
      uint8 [h, w, 3], and the nest of `choose`.
    """

    def decode_jpeg() -> tuple[tf.Tensor, _Nest]:
        shape = tf.image.extract_jpeg_shape(encoded)
        window, chosen = choose(shape[0], shape[1])
        image = tf.io.decode_and_crop_jpeg(encoded, tf.stack(window), channels=3)
        return image, chosen

    def decode_other() -> tuple[tf.Tensor, _Nest]:
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        shape = tf.shape(image)
        (top, left, height, width), chosen = choose(shape[0], shape[1])
        return image[top : top + height, left : left + width], chosen

    image, chosen = tf.cond(tf.io.is_jpeg(encoded), decode_jpeg, decode_other)
    return tf.ensure_shape(image, [None, None, 3]), chosen


def is_jpeg_wider_than(encoded: tf.Tensor, limit: int) -> tf.Tensor:
    """Whether an encoded photo is a JPEG with both sides above `limit`: scalar bool."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.reduce_min(tf.image.extract_jpeg_shape(encoded)[:2]) > limit,
        lambda: False,
    )
