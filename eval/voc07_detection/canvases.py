"""Canvases: the few sizes that images are laid on, each a graph of its own.

Anchors and proposals are laid out when a graph is made, so the network must not meet a
new size with every image. An image is resized as Faster R-CNN's public code does it: its
shorter side to the size s asked for, unless the longer side would then exceed a limit,
5/3 s (1000 at 600), to which it is resized instead. It lies on a canvas of the sides s and
4/3 s where it fits there, as VOC's 500x375 do, or else of s and 5/3 s, lying or upright as
the image, and ends before the right or lower edge. A batch of several training images has
a square canvas of the longer of these sides that they need, on which each is as large as
by itself.
"""

import numpy as np
import tensorflow as tf

STRIDE = 16
# Longer over shorter side: of the canvases, the last also of the images.
_ASPECTS = (4 / 3, 5 / 3)
# What the trunk scales to 0, the middle of its input range.
_PADDING = 0.5


def training_sizes(config):
    """Shorter sides of training, multiples of the stride: int32 [sizes]."""
    sizes = np.linspace(config.min_size, config.max_size, config.sizes)
    return (np.round(sizes / STRIDE) * STRIDE).astype(np.int32)


def resized(image_size, size):
    """Height and width that an image is resized to: int32 [2].

    Args:
      image_size: int32 [2], its height and width.
      size: int32 scalar tensor or int, the shorter side asked for.
    """
    old, size = tf.cast(image_size, tf.float32), tf.cast(size, tf.float32)
    limit = size * _ASPECTS[-1]
    scale = tf.minimum(size / tf.reduce_min(old), limit / tf.reduce_max(old))
    return tf.cast(tf.maximum(tf.round(old * scale), 1.0), tf.int32)


def for_images(size, image_sizes):
    """The canvas of a batch of images, all of which fit.

    Args:
      size: int32 scalar tensor or int, the shorter side asked for.
      image_sizes: int32 [B, 2] of height, width, B known when the graph is made.

    Returns:
      int32 [2], height and width: for one image lying or upright as it is, square for
      several.
    """
    new = tf.map_fn(lambda one: resized(one, size), tf.convert_to_tensor(image_sizes))
    narrow, wide = (_longer_side(size, aspect) for aspect in _ASPECTS)
    longer = tf.where(tf.reduce_max(new) <= narrow, narrow, wide)
    if new.shape[0] > 1:
        return tf.stack([longer, longer])
    lying, upright = tf.stack([size, longer]), tf.stack([longer, size])
    return tf.where(new[0, 1] >= new[0, 0], lying, upright)


def _longer_side(size, aspect):
    share = tf.cast(size, tf.float32) * (aspect / STRIDE)
    return tf.cast(tf.math.ceil(share), tf.int32) * STRIDE


def place(image, canvas, size):
    """Resizes an image into the upper left of a canvas that it fits.

    Args:
      image: uint8 [H, W, 3].
      canvas: int32 [2], height and width.
      size: int32 scalar, the shorter side asked for.

    Returns:
      (float32 [*canvas, 3] in [0, 1], float32 [2] of the resized image's height and
      width).
    """
    new = resized(tf.shape(image)[:2], size)
    image = tf.image.resize(image, new, antialias=True)
    image = tf.clip_by_value(image / 255.0, 0.0, 1.0)
    rest = canvas - new
    padding = [[0, rest[0]], [0, rest[1]], [0, 0]]
    image = tf.pad(image, padding, constant_values=_PADDING)
    return image, tf.cast(new, tf.float32)


def scale_boxes(boxes, old_size, new_size):
    """Boxes of an image as it is resized.

    Args:
      boxes: float32 [..., N, 4] (ymin, xmin, ymax, xmax).
      old_size, new_size: float32 [..., 2] of height, width.
    """
    ratio = new_size / old_size
    return boxes * tf.concat([ratio, ratio], -1)[..., tf.newaxis, :]
