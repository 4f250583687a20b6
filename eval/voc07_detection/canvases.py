"""Canvases: the few sizes that images are placed on, each with a graph of its own.

Anchors and proposals are laid out when a graph is built, so the network should not meet a
new size with every image. An image is resized as in Faster R-CNN's public code: its
shorter side becomes the requested size s, unless the longer side would then exceed 5/3 s
(1000 for 600). In this case the longer side becomes 5/3 s.

The image is placed at the upper left of a canvas of s and 4/3 s where it fits, as the
500x375 images of VOC do, or else of s and 5/3 s. The canvas is horizontal or vertical as
the image is. A batch of several training images has a square canvas of the longer of
these sides that its images need; the size of an image does not depend on the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval.voc07_detection.config import Config

STRIDE = 16
# Ratios of the longer to the shorter side of canvases. The last also limits images.
_ASPECTS = (4 / 3, 5 / 3)
# The trunk scales this value, the middle of its input range, to 0.
_PADDING = 0.5


def training_sizes(config: Config) -> npt.NDArray[np.int32]:
    """The requested shorter sides in training, multiples of the stride: int32 [sizes]."""
    sizes = np.linspace(config.min_size, config.max_size, config.sizes)
    return (np.round(sizes / STRIDE) * STRIDE).astype(np.int32)


def resized(image_size: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Computes the height and width that an image is resized to.

    Args:
      image_size: int32 [2], its height and width.
      size: the requested shorter side, an int or an int32 scalar.

    Returns:
      int32 [2].
    """
    old, size = tf.cast(image_size, tf.float32), tf.cast(size, tf.float32)
    limit = size * _ASPECTS[-1]
    scale = tf.minimum(size / tf.reduce_min(old), limit / tf.reduce_max(old))
    return tf.cast(tf.maximum(tf.round(old * scale), 1.0), tf.int32)


def for_images(size: int | tf.Tensor, image_sizes: tf.Tensor) -> tf.Tensor:
    """Computes the size of a canvas that all images of a batch fit on.

    Args:
      size: the requested shorter side, an int or an int32 scalar.
      image_sizes: int32 [B, 2], heights and widths; B is static.

    Returns:
      int32 [2], height and width: horizontal or vertical for one image, square for
      several.
    """
    new = tf.map_fn(
        lambda image_size: resized(image_size, size), tf.convert_to_tensor(image_sizes)
    )
    narrow, wide = (_longer_side(size, aspect) for aspect in _ASPECTS)
    longer = tf.where(tf.reduce_max(new) <= narrow, narrow, wide)
    if new.shape[0] > 1:
        return tf.stack([longer, longer])
    horizontal, vertical = tf.stack([size, longer]), tf.stack([longer, size])
    return tf.where(new[0, 1] >= new[0, 0], horizontal, vertical)


def _longer_side(size: int | tf.Tensor, aspect: float) -> tf.Tensor:
    cells = tf.cast(size, tf.float32) * (aspect / STRIDE)
    return tf.cast(tf.math.ceil(cells), tf.int32) * STRIDE


def place(
    image: tf.Tensor, canvas: tf.Tensor, size: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resizes an image and places it at the upper left of a canvas that it fits on.

    Args:
      image: uint8 [H, W, 3].
      canvas: int32 [2], height and width of the canvas.
      size: the requested shorter side, an int or an int32 scalar.

    Returns:
      (float32 [*canvas, 3] in [0, 1]; float32 [2], height and width of the resized
      image).
    """
    new = resized(tf.shape(image)[:2], size)
    image = tf.image.resize(image, new, antialias=True)
    image = tf.clip_by_value(image / 255.0, 0.0, 1.0)
    rest = canvas - new
    padding = [[0, rest[0]], [0, rest[1]], [0, 0]]
    image = tf.pad(image, padding, constant_values=_PADDING)
    return image, tf.cast(new, tf.float32)


def scale_boxes(
    boxes: tf.Tensor, old_size: tf.Tensor, new_size: tf.Tensor
) -> tf.Tensor:
    """Scales the boxes of an image that is resized.

    Args:
      boxes: float32 [..., N, 4] (ymin, xmin, ymax, xmax).
      old_size, new_size: float32 [..., 2], height and width.

    Returns:
      float32 [..., N, 4].
    """
    ratio = new_size / old_size
    return boxes * tf.concat([ratio, ratio], -1)[..., tf.newaxis, :]
