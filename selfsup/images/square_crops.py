"""Random squares of photos, one of each photo, which are resized on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from selfsup.images import device_resize, resize
from selfsup.images.decoding import Window, decode_window, is_jpeg_wider_than

# Factors by which the JPEG decoder can shrink an image, which makes decoding cheaper.
_RATIOS = (2, 4, 8)


def random_square(
    encoded: tf.Tensor, size: int, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Crops a square that spans the shorter side of a photo, at a random place.

    Args:
      encoded: scalar string, JPEG or PNG.
      size: side that `device_resize.resize_canvases` will give the square.
      seed: int32 [2].

    Returns:
      a dict, see `device_resize.place_on_canvas`. The canvas is 1.5 times `size`, so that
      for a size of 256 it holds the square of a 500x375 photo.
    """
    square = tf.cond(
        is_jpeg_wider_than(encoded, 2 * size),
        lambda: _square_of_image(_decode_shrunk(encoded, 2 * size), seed),
        lambda: decode_window(encoded, _square_chooser(seed)),
    )
    return device_resize.place_on_canvas(square, size, size + size // 2)


def random_mirror(images: Sequence[tf.Tensor], seed: tf.Tensor) -> list[tf.Tensor]:
    """Mirrors random examples of a batch left to right.

    Args:
      images: tensors [B, H, W, C] that are mirrored together, such as frames and masks.
      seed: int32 [2].

    Returns:
      tensors of the same shapes.
    """
    count = tf.shape(images[0])[0]
    flipped = tf.random.stateless_uniform([count, 1, 1, 1], seed) < 0.5
    return [tf.where(flipped, tf.reverse(image, [2]), image) for image in images]


def _decode_shrunk(encoded: tf.Tensor, limit: int) -> tf.Tensor:
    """Decodes a JPEG at the largest size whose shorter side is at most `limit`.

    A photo that is larger still is decoded at an eighth of its size, the decoder's least.
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


def _square_of_image(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(image)
    top, left, side, _ = _square_chooser(seed)(shape[0], shape[1])
    return image[top : top + side, left : left + side]


def _square_chooser(seed: tf.Tensor) -> Callable[[tf.Tensor, tf.Tensor], Window]:
    """Returns a function from a photo's height and width to a random square in it."""

    def choose(height: tf.Tensor, width: tf.Tensor) -> Window:
        side = tf.minimum(height, width)
        top, left = resize.random_corner(height - side, width - side, seed)
        return top, left, side, side

    return choose
