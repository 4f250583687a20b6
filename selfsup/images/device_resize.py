"""Resizes images on the device; the host pads them to canvases of one size.

Resizing a photo takes half as long as decoding it, so the host only pads. But copying bytes
takes time too: with a canvas of more than about 450 pixels per side, the copy costs what
the resizing saves.
"""

from __future__ import annotations

import tensorflow as tf

from selfsup.images import resize


def place_on_canvas(image: tf.Tensor, size: int, canvas: int) -> dict[str, tf.Tensor]:
    """Places an image in the upper left corner of a canvas of zeros.

    Args:
      image: uint8 [H, W, 3].
      size: side of the square that `resize_canvases` will make of the image. An image with
        a side shorter than `size` or longer than `canvas` is resized to it here.
      canvas: side of the canvas, at most twice `size`; `resize_canvases` is bilinear and
        would skip pixels of a larger image.

    Returns:
      dict of "canvas", uint8 [canvas, canvas, 3], and "extent", int32 [2], height and
      width of the image on the canvas.
    """
    image_size = tf.shape(image)[:2]
    image = tf.cond(
        tf.reduce_any((image_size < size) | (image_size > canvas)),
        lambda: resize.resize(image, size, size),
        lambda: image,
    )
    return {
        "canvas": resize.pad_to_square(image, canvas, (0, 0)),
        "extent": tf.ensure_shape(tf.shape(image)[:2], [2]),
    }


def resize_canvases(examples: dict[str, tf.Tensor], size: int) -> tf.Tensor:
    """Resizes the images on a batch of canvases, bilinearly.

    Args:
      examples: dict of "canvas", uint8 [B, canvas, canvas, 3], and "extent", int32 [B, 2];
        see `place_on_canvas`.
      size: side of the result.

    Returns:
      float32 [B, size, size, 3] in [0, 1].
    """
    canvases = examples["canvas"]
    extents = tf.cast(examples["extent"], tf.float32)
    # Centres of the result's first and last pixels, in pixels of the canvas.
    margin = extents / (2.0 * size)
    ends = tf.concat([margin, extents - margin], axis=-1) - 0.5
    resized = tf.image.crop_and_resize(
        tf.cast(canvases, tf.float32),
        ends / (canvases.shape[1] - 1),
        tf.range(tf.shape(canvases)[0]),
        [size, size],
    )
    return resized / 255.0


def as_canvases(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns canvases that `resize_canvases` turns back into the same images.

    Args:
      images: float32 [B, s, s, 3] in [0, 1]; values are rounded to 255ths.

    Returns:
      a dict, see `resize_canvases`, whose canvases have the side s.
    """
    return {
        "canvas": tf.cast(tf.round(images * 255.0), tf.uint8),
        "extent": tf.fill([tf.shape(images)[0], 2], images.shape[1]),
    }
