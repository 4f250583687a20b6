"""Random squares of photos in two steps: cut on the host, resized on the device.

Resizing a photo costs half as much as decoding it, so it is left to the device, where
it is batched. Between the two steps squares have any side from the wanted one to twice
that, padded to twice: there two bilinear taps a side still meet every pixel.
"""

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import decode_window, is_jpeg_wider_than

# By which the JPEG decoder can shrink while it decodes, at less than the full cost.
_RATIOS = (2, 4, 8)


def cut(encoded, size, seed):
    """A square of a photo, randomly placed, that spans its shorter side.

    Args:
      encoded: scalar string, JPEG or PNG.
      size: int, side that `resized` is to give it.
      seed: int32 [2].

    Returns:
      dict of "square", uint8 [2 size, 2 size, 3], the pixels in its upper left corner
      and zeros elsewhere, and "side", int32 scalar from size to 2 size.
    """
    square = tf.cond(
        is_jpeg_wider_than(encoded, 2 * size),
        lambda: _square_of(_shrunk(encoded, 2 * size), seed),
        lambda: decode_window(encoded, _placed(seed)),
    )
    side = tf.shape(square)[0]
    square = tf.cond(
        (side < size) | (side > 2 * size),
        lambda: resize.resize(square, size, size),
        lambda: square,
    )
    side = tf.shape(square)[0]
    space = 2 * size - side
    padded = tf.pad(square, [[0, space], [0, space], [0, 0]])
    return {"square": tf.ensure_shape(padded, [2 * size, 2 * size, 3]), "side": side}


def resized(examples, size):
    """The squares of a batch of `cut`'s dicts: float32 [B, size, size, 3] in [0, 1].

    Bilinear.
    """
    squares, sides = examples["square"], tf.cast(examples["side"], tf.float32)
    # Centres of the first and the last pixel, as fractions of the padded side.
    ends = tf.stack([sides / (2.0 * size), sides * (1.0 - 0.5 / size)], axis=-1)
    low, high = tf.unstack((ends - 0.5) / (squares.shape[1] - 1), axis=-1)
    count = tf.shape(squares)[0]
    made = tf.image.crop_and_resize(
        tf.cast(squares, tf.float32),
        tf.stack([low, low, high, high], axis=-1),
        tf.range(count),
        [size, size],
    )
    return made / 255.0


def random_mirror(images, seed):
    """Mirrors each example of a batch left to right, or not.

    Args:
      images: list of [B, H, W, C] that belong together, such as frames and masks.
      seed: int32 [2].

    Returns:
      list of the same shapes.
    """
    count = tf.shape(images[0])[0]
    flipped = tf.random.stateless_uniform([count, 1, 1, 1], seed) < 0.5
    return [tf.where(flipped, tf.reverse(image, [2]), image) for image in images]


def _shrunk(encoded, limit):
    """A whole JPEG, decoded at the largest size whose shorter side is within `limit`.

    Or at an eighth, where that is still over it.
    """
    shape = tf.image.extract_jpeg_shape(encoded)
    shorter = tf.reduce_min(shape[:2])
    index = tf.add_n(
        [tf.cast(-(-shorter // r) > limit, tf.int32) for r in _RATIOS[:-1]]
    )
    branches = [
        lambda ratio=ratio: tf.io.decode_jpeg(encoded, channels=3, ratio=ratio)
        for ratio in _RATIOS
    ]
    return tf.switch_case(index, branches)


def _square_of(image, seed):
    shape = tf.shape(image)
    top, left, side, _ = _placed(seed)(shape[0], shape[1])
    return image[top : top + side, left : left + side]


def _placed(seed):
    """(height, width) -> (top, left, side, side) of a random square."""

    def choose(height, width):
        side = tf.minimum(height, width)
        top, left = resize.random_corner(height - side, width - side, seed)
        return top, left, side, side

    return choose
