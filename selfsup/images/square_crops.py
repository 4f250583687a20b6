"""Random squares of photos, for tasks that see one of each; resized on the device."""

import tensorflow as tf

from selfsup.images import device_resize, resize
from selfsup.images.decoding import decode_window, is_jpeg_wider_than

# By which the JPEG decoder can shrink while it decodes, at less than the full cost.
_RATIOS = (2, 4, 8)


def random_square(encoded, size, seed):
    """A square of a photo, randomly placed, that spans its shorter side.

    Args:
      encoded: scalar string, JPEG or PNG.
      size: int, side that `device_resize.resize_canvases` is to give it.
      seed: int32 [2].

    Returns:
      a dict, see `device_resize.place_on_canvas`. The canvas is 1.5 times `size`, which
      holds a photo of 500x375 for a size of 256.
    """
    square = tf.cond(
        is_jpeg_wider_than(encoded, 2 * size),
        lambda: _square_of(_shrunk(encoded, 2 * size), seed),
        lambda: decode_window(encoded, _placed(seed)),
    )
    return device_resize.place_on_canvas(square, size, size + size // 2)


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
