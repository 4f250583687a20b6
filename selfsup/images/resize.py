"""Resizing and cutting of photos of any size, for use inside tf.data.

All functions return uint8; all are anti-aliased.
"""

import tensorflow as tf

from selfsup.images.decoding import decode_window


def resize(image, height, width):
    """Resizes uint8 [H, W, 3] or [N, H, W, 3] to `height` x `width`, aspect aside.

    Bilinear down to half the size, where its two taps a side still meet every pixel;
    means of areas below; TensorFlow's anti-aliased kernel, several times as slow, only
    for what shrinks below half one way and grows the other.
    """
    size = tf.stack([height, width])
    found = tf.shape(image)[-3:-1]

    def change():
        return tf.case(
            [
                (
                    tf.reduce_all(2 * size >= found),
                    lambda: tf.image.resize(image, size),
                ),
                (
                    tf.reduce_all(size <= found),
                    lambda: tf.image.resize(image, size, method="area"),
                ),
            ],
            default=lambda: tf.image.resize(image, size, antialias=True),
        )

    resized = tf.cond(
        tf.reduce_all(size == found),
        lambda: image,
        # Within [0, 255] but for rounding errors, so that half up is to the nearest.
        lambda: tf.cast(change() + 0.5, tf.uint8),
    )
    if isinstance(height, int) and isinstance(width, int):
        resized = tf.ensure_shape(resized, [*image.shape[:-3], height, width, 3])
    return resized


def resize_shorter_side(image, size):
    """Resizes uint8 [H, W, 3] so that its shorter side is `size`, the aspect kept."""
    height, width = _float_size(image)
    scale = size / tf.minimum(height, width)
    # Rounding must not leave a side below `size`, from which it is then cropped.
    return resize(image, _scaled(height, scale, size), _scaled(width, scale, size))


def decode_resized_window(encoded, size, corner, extent):
    """A rectangle of a photo that is resized to a square: uint8 [h, w, 3].

    It begins and ends at whole pixels of the photo, so that it can be off by half one.

    Args:
      encoded: scalar string, JPEG or PNG; no more than the window is decoded.
      size: int, side that the photo is resized to, whatever its aspect.
      corner, extent: int32 [2]: top and left, height and width of the window in the
        resized photo.
    """

    def choose(height, width):
        length = tf.stack([height, width])
        edges = tf.cast(tf.stack([corner, corner + extent]), tf.float32)
        edges = tf.cast(tf.round(edges * tf.cast(length, tf.float32) / size), tf.int32)
        begin = tf.minimum(edges[0], length - 1)
        return (*tf.unstack(begin), *tf.unstack(tf.maximum(edges[1] - begin, 1)))

    return resize(decode_window(encoded, choose), extent[0], extent[1])


def pad_to_square(image, side, corner):
    """Lays an image on a square of zeros: uint8 [h, w, 3] to [side, side, 3].

    Args:
      image: no larger than the square.
      side: int.
      corner: (top, left), ints or int32 scalars, of the image in the square.
    """
    shape = tf.shape(image)
    # As a matrix: a padding of the second of three dimensions takes twice as long.
    rows = tf.reshape(image, [shape[0], 3 * shape[1]])
    top, left = corner
    below, right = side - top - shape[0], side - left - shape[1]
    square = tf.pad(rows, [[top, below], [3 * left, 3 * right]])
    return tf.reshape(square, [side, side, 3])


def random_corner(height, width, seed):
    """Random (y, x), int32 scalars: 0 to `height` and 0 to `width`, both included."""
    bounds = tf.stack([height, width]) + 1
    draws = tf.random.stateless_uniform([2], seed)
    # Rounding to float32 may reach the bound.
    corner = tf.cast(draws * tf.cast(bounds, tf.float32), tf.int32)
    return tf.unstack(tf.minimum(corner, bounds - 1))


def _float_size(image):
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    return size[0], size[1]


def _scaled(length, scale, minimum):
    return tf.maximum(tf.cast(tf.round(length * scale), tf.int32), minimum)
