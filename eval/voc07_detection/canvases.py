"""Canvases: the few sizes to which images are resized, each a graph of its own.

Anchors and proposals are laid out when a graph is made, so the network must not meet a
new size with every image. A canvas has the sides s and 4/3 s, lying or upright as its
image; images of other shapes are resized to fit inside and end before its right or
lower edge. A batch of several training images has a square canvas of 4/3 s, on which
each is as large as on its own.
"""

import numpy as np
import tensorflow as tf

STRIDE = 16
_ASPECT = 4 / 3
# What the trunk scales to 0, the middle of its input range.
_PADDING = 0.5


def training_sizes(config):
    """Shorter sides of training, multiples of the stride: int32 [sizes]."""
    sizes = np.linspace(config.min_size, config.max_size, config.sizes)
    return (np.round(sizes / STRIDE) * STRIDE).astype(np.int32)


def for_image(size, image_size):
    """The canvas of one image, lying or upright as it is.

    Args:
      size: int32 scalar tensor or int, its shorter side.
      image_size: int32 [2] of height, width.

    Returns:
      int32 [2], height and width.
    """
    longer = square(size)[0]
    lying, upright = tf.stack([size, longer]), tf.stack([longer, size])
    return tf.where(image_size[1] >= image_size[0], lying, upright)


def square(size):
    """The canvas of several images, all of which fit: as `for_image`."""
    share = tf.cast(size, tf.float32) * (_ASPECT / STRIDE)
    longer = tf.cast(tf.math.ceil(share), tf.int32) * STRIDE
    return tf.stack([longer, longer])


def fit(image_size, canvas):
    """Height and width of an image resized to fit a canvas: int32 [2].

    Args:
      image_size, canvas: int32 [2] of height, width.
    """
    old, limit = tf.cast(image_size, tf.float32), tf.cast(canvas, tf.float32)
    scaled = tf.round(old * tf.reduce_min(limit / old))
    return tf.cast(tf.clip_by_value(scaled, 1.0, limit), tf.int32)


def place(image, canvas, limit=None):
    """Resizes an image into the upper left of a canvas.

    Args:
      image: uint8 [H, W, 3].
      canvas: int32 [2] of height, width.
      limit: int32 [2]: what the image is to fit, inside the canvas; all of it where
        not given.

    Returns:
      (float32 [*canvas, 3] in [0, 1], float32 [2] of the resized image's height and
      width).
    """
    size = fit(tf.shape(image)[:2], canvas if limit is None else limit)
    image = tf.image.resize(image, size, antialias=True)
    image = tf.clip_by_value(image / 255.0, 0.0, 1.0)
    rest = canvas - size
    padding = [[0, rest[0]], [0, rest[1]], [0, 0]]
    image = tf.pad(image, padding, constant_values=_PADDING)
    return image, tf.cast(size, tf.float32)


def scale_boxes(boxes, old_size, new_size):
    """Boxes of an image as it is resized.

    Args:
      boxes: float32 [..., N, 4] (ymin, xmin, ymax, xmax).
      old_size, new_size: float32 [..., 2] of height, width.
    """
    ratio = new_size / old_size
    return boxes * tf.concat([ratio, ratio], -1)[..., tf.newaxis, :]
