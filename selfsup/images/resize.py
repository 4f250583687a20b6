"""Resizing and cropping of single images of any size, for use inside tf.data.

All functions take and return uint8 [H, W, 3]; all are anti-aliased.
"""

import tensorflow as tf

MAX_ASPECT = 4


def resize(image, height, width):
    """Resizes to `height` x `width`, whatever the aspect."""
    resized = tf.image.resize(image, [height, width], antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def resize_shorter_side(image, size):
    """Resizes so that the shorter side is `size`, the aspect kept."""
    height, width = _float_size(image)
    scale = size / tf.minimum(height, width)
    # Rounding must not leave a side below `size`, from which it is then cropped.
    return resize(image, _scaled(height, scale, size), _scaled(width, scale, size))


def resize_to_area(image, pixels, min_side):
    """Resizes to about `pixels` pixels, the aspect kept, no side below `min_side`.

    Args:
      image: uint8 [H, W, 3].
      pixels: scalar tensor or number, the area wanted.
      min_side: int; a long, thin image gets an area above `pixels` for it.
    """
    height, width = _float_size(image)
    scale = tf.sqrt(tf.cast(pixels, tf.float32) / (height * width))
    scale = tf.maximum(scale, min_side / tf.minimum(height, width))
    return resize(
        image, _scaled(height, scale, min_side), _scaled(width, scale, min_side)
    )


def limit_aspect(image, ratio, seed):
    """Crops the longer side, at a random place, to at most `ratio` x the shorter."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    longest = tf.minimum(height, width) * ratio
    size = [tf.minimum(height, longest), tf.minimum(width, longest), 3]
    return tf.image.stateless_random_crop(image, size, seed)


def random_square(image, size, seed):
    """A square, randomly placed and mirrored: [size, size, 3].

    The image's shorter side is resized to `size` first, so the square spans it.
    """
    aspect_seed, crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 3))
    # Bounds the memory that resizing a panorama would take.
    image = limit_aspect(image, MAX_ASPECT, aspect_seed)
    image = resize_shorter_side(image, size)
    image = tf.image.stateless_random_crop(image, [size, size, 3], crop_seed)
    return tf.image.stateless_random_flip_left_right(image, flip_seed)


def _float_size(image):
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    return size[0], size[1]


def _scaled(length, scale, minimum):
    return tf.maximum(tf.cast(tf.round(length * scale), tf.int32), minimum)
