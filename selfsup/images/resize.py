"""Resizing and cutting of single photos of any size, for use inside tf.data.

All functions return uint8 [H, W, 3]; all are anti-aliased.
"""

import tensorflow as tf

from selfsup.images.decoding import decode_window


def resize(image, height, width):
    """Resizes uint8 [H, W, 3] to `height` x `width`, whatever the aspect.

    Bilinear down to half the size, where its two taps a side still meet every pixel;
    means of areas below; TensorFlow's anti-aliased kernel, several times as slow, only
    for what shrinks below half one way and grows the other.
    """
    size = tf.stack([height, width])
    found = tf.shape(image)[:2]

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
        resized = tf.ensure_shape(resized, [height, width, 3])
    return resized


def resize_shorter_side(image, size):
    """Resizes uint8 [H, W, 3] so that its shorter side is `size`, the aspect kept."""
    height, width = _float_size(image)
    scale = size / tf.minimum(height, width)
    # Rounding must not leave a side below `size`, from which it is then cropped.
    return resize(image, _scaled(height, scale, size), _scaled(width, scale, size))


def random_square(encoded, size, seed):
    """A square of a photo, randomly placed and mirrored: [size, size, 3].

    It spans the photo's shorter side.

    Args:
      encoded: scalar string, JPEG or PNG; no more than the square is decoded.
      size: int, that it is resized to.
      seed: int32 [2].
    """
    place_seed, flip_seed = tf.unstack(tf.random.split(seed))

    def choose(height, width):
        side = tf.minimum(height, width)
        top, left = random_corner(height - side, width - side, place_seed)
        return top, left, side, side

    square = resize(decode_window(encoded, choose), size, size)
    return tf.image.stateless_random_flip_left_right(square, flip_seed)


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
