"""Resizing that is left to the device: images of any size on canvases of one size.

Resizing a photo costs half as much as decoding it, so the host only pads. Moving bytes
has its price as well: a canvas of more than about 450 pixels a side costs what it saves.
"""

import tensorflow as tf

from selfsup.images import resize


def place_on_canvas(image, size, canvas):
    """Lays an image into the upper left corner of a canvas, zeros elsewhere.

    Args:
      image: uint8 [H, W, 3].
      size: int, side of the square that `resized` makes of it. An image that is below
        it, or does not fit on the canvas, either way, is made so large at once.
      canvas: int, its side; up to twice `size`, beyond which the two taps a side of
        `resized` would not meet every pixel.

    Returns:
      dict of "canvas", uint8 [canvas, canvas, 3], and "extent", int32 [2]: height and
      width of the image on it.
    """
    found = tf.shape(image)[:2]
    image = tf.cond(
        tf.reduce_any((found < size) | (found > canvas)),
        lambda: resize.resize(image, size, size),
        lambda: image,
    )
    return {
        "canvas": resize.pad_to_square(image, canvas, (0, 0)),
        "extent": tf.ensure_shape(tf.shape(image)[:2], [2]),
    }


def resize_canvases(examples, size):
    """The images of a batch of `lay`'s dicts: float32 [B, size, size, 3] in [0, 1].

    Bilinear.
    """
    canvases = examples["canvas"]
    extents = tf.cast(examples["extent"], tf.float32)
    # Centres of the first and the last pixel made, between those of the canvas.
    margin = extents / (2.0 * size)
    ends = tf.concat([margin, extents - margin], axis=-1) - 0.5
    made = tf.image.crop_and_resize(
        tf.cast(canvases, tf.float32),
        ends / (canvases.shape[1] - 1),
        tf.range(tf.shape(canvases)[0]),
        [size, size],
    )
    return made / 255.0
