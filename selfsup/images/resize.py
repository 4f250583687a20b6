"""Resizes and crops photos of any size inside tf.data pipelines.

All functions return uint8 and avoid aliasing.
"""

from __future__ import annotations

import tensorflow as tf

from selfsup.images.decoding import Window, decode_window


def resize(
    image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Resizes images without keeping the aspect ratio.

    The kernel depends on the change of size. Bilinear interpolation serves down to half
    the size, where its two taps still reach every pixel; the mean of areas serves below.
    TensorFlow's anti-aliased kernel, which is several times as slow, serves only if one
    side shrinks below half and the other side grows.

    Args:
      image: uint8 [H, W, 3] or [N, H, W, 3].
      height: of the result.
      width: of the result.

    Returns:
      uint8 [height, width, 3] or [N, height, width, 3].
    """
    size = tf.stack([height, width])
    old_size = tf.shape(image)[-3:-1]

    def change() -> tf.Tensor:
        return tf.case(
            [
                (
                    tf.reduce_all(2 * size >= old_size),
                    lambda: tf.image.resize(image, size),
                ),
                (
                    tf.reduce_all(size <= old_size),
                    lambda: tf.image.resize(image, size, method="area"),
                ),
            ],
            default=lambda: tf.image.resize(image, size, antialias=True),
        )

    resized = tf.cond(
        tf.reduce_all(size == old_size),
        lambda: image,
        # The values are within [0, 255] up to rounding errors; 0.5 rounds to nearest.
        lambda: tf.cast(change() + 0.5, tf.uint8),
    )
    if isinstance(height, int) and isinstance(width, int):
        resized = tf.ensure_shape(resized, [*image.shape[:-3], height, width, 3])
    return resized


def resize_shorter_side(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes an image so that its shorter side is `size`, and keeps its aspect ratio.

    Args:
      image: uint8 [H, W, 3].
      size: pixels.

    Returns:
      uint8 [h, w, 3].
    """
    height, width = _float_size(image)
    scale = size / tf.minimum(height, width)
    # Rounding must not make a side shorter than `size`, because crops of that size follow.
    return resize(image, _scaled(height, scale, size), _scaled(width, scale, size))


def decode_resized_window(
    encoded: tf.Tensor, size: int, corner: tf.Tensor, extent: tf.Tensor
) -> tf.Tensor:
    """Decodes a rectangle of a photo that is resized to a square.

    The rectangle consists of whole pixels of the photo, so that it may be displaced by up
    to half a pixel of the photo.

    Args:
      encoded: scalar string, JPEG or PNG; only the rectangle is decoded.
      size: side of the square that the photo is resized to, without keeping its aspect
        ratio.
      corner: int32 [2], top and left of the rectangle in the resized photo.
      extent: int32 [2], height and width of the rectangle in the resized photo.

    Returns:
      uint8 [h, w, 3], where h and w are `extent`.
    """

    def choose(height: tf.Tensor, width: tf.Tensor) -> Window:
        length = tf.stack([height, width])
        edges = tf.cast(tf.stack([corner, corner + extent]), tf.float32)
        edges = tf.cast(tf.round(edges * tf.cast(length, tf.float32) / size), tf.int32)
        begin = tf.minimum(edges[0], length - 1)
        top, left = tf.unstack(begin)
        window_height, window_width = tf.unstack(tf.maximum(edges[1] - begin, 1))
        return top, left, window_height, window_width

    return resize(decode_window(encoded, choose), extent[0], extent[1])


def pad_to_square(
    image: tf.Tensor, side: int, corner: tuple[int | tf.Tensor, int | tf.Tensor]
) -> tf.Tensor:
    """Places an image on a square of zeros.

    Args:
      image: uint8 [h, w, 3], not larger than the square.
      side: of the square, pixels.
      corner: top and left of the image in the square, ints or int32 scalars.

    Returns:
      uint8 [side, side, 3].
    """
    shape = tf.shape(image)
    # Pads a matrix, because padding the second of three dimensions takes twice as long.
    rows = tf.reshape(image, [shape[0], 3 * shape[1]])
    top, left = corner
    below, right = side - top - shape[0], side - left - shape[1]
    square = tf.pad(rows, [[top, below], [3 * left, 3 * right]])
    return tf.reshape(square, [side, side, 3])


def random_corner(
    height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor
) -> list[tf.Tensor]:
    """Draws a point of a rectangle.

    Args:
      height: greatest y, int32 scalar.
      width: greatest x, int32 scalar.
      seed: int32 [2].

    Returns:
      y in [0, height] and x in [0, width], int32 scalars.
    """
    bounds = tf.stack([height, width]) + 1
    return tf.unstack(integers_below(bounds, tf.random.stateless_uniform([2], seed)))


def integers_below(bounds: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Converts random numbers to integers in [0, bound).

    Args:
      bounds: int32 [...].
      draws: float32 in [0, 1), of a shape that `bounds` broadcasts to.

    Returns:
      int32, of the shape of `draws`.
    """
    integers = tf.cast(draws * tf.cast(bounds, tf.float32), tf.int32)
    # Rounding to float32 may reach the bound.
    return tf.minimum(integers, bounds - 1)


def _float_size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    return size[0], size[1]


def _scaled(length: tf.Tensor, scale: tf.Tensor, minimum: int) -> tf.Tensor:
    return tf.maximum(tf.cast(tf.round(length * scale), tf.int32), minimum)
