"""Augmentation in translation and colour for training on labels (paper section 5).

Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015), whose training the paper
refers to. They take their colours from Howard (2013); the ranges here are those of
TF-Slim's Inception preprocessing. Every random number is drawn by a stateless op.
"""

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import decode_window

AREA = (0.08, 1.0)  # Of the photo's.
ASPECT = (3 / 4, 4 / 3)  # Width over height.
BRIGHTNESS = 32 / 255  # Either way, of images in [0, 1].
SATURATION = (0.5, 1.5)
HUE = 0.2  # Either way, of the circle.
CONTRAST = (0.5, 1.5)
_ATTEMPTS = 100


def random_crop(encoded, size, seed):
    """A part of a photo of random area and aspect.

    TensorFlow's sampler, which Slim takes too, draws the height evenly, not the area.

    Args:
      encoded: scalar string, JPEG or PNG; no more than the part is decoded.
      size: int, that it is resized to, whatever its aspect.
      seed: int32 [2].

    Returns:
      uint8 [size, size, 3].
    """

    def choose(height, width):
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.stack([height, width, 3]),
            tf.zeros([1, 0, 4]),
            seed=seed,
            min_object_covered=0.0,
            aspect_ratio_range=ASPECT,
            area_range=AREA,
            max_attempts=_ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        return begin[0], begin[1], extent[0], extent[1]

    return resize.resize(decode_window(encoded, choose), size, size)


def distort(images, seed):
    """Mirrors each image or not, and changes its colours; as `random_color`."""
    mirror_seed, color_seed = tf.unstack(tf.random.split(seed))
    mirrored = tf.image.stateless_random_flip_left_right(images, mirror_seed)
    return random_color(mirrored, color_seed)


def random_color(images, seed):
    """Changes brightness and contrast, saturation and hue, of each image by its own.

    Which pair comes first is drawn once for the batch: they do not commute where values
    are clipped.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    order, light, tone = tf.unstack(tf.random.split(seed, 3))
    return tf.cond(
        tf.random.stateless_uniform([], order) < 0.5,
        lambda: _random_tone(_random_light(images, light), tone),
        lambda: _random_light(_random_tone(images, tone), light),
    )


def _random_light(images, seed):
    """Adds to all values, then moves them from each channel's mean, or towards it."""
    shift_seed, factor_seed = tf.unstack(tf.random.split(seed))
    images = images + _for_each(images, shift_seed, -BRIGHTNESS, BRIGHTNESS)
    mean = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    changed = mean + (images - mean) * _for_each(images, factor_seed, *CONTRAST)
    return tf.clip_by_value(changed, 0.0, 1.0)


def _random_tone(images, seed):
    """Multiplies the saturation and turns the hue."""
    saturation_seed, hue_seed = tf.unstack(tf.random.split(seed))
    hue, saturation, value = tf.split(tf.image.rgb_to_hsv(images), 3, axis=-1)
    saturation *= _for_each(images, saturation_seed, *SATURATION)
    hue = tf.math.floormod(hue + _for_each(images, hue_seed, -HUE, HUE), 1.0)
    hsv = tf.concat([hue, tf.clip_by_value(saturation, 0.0, 1.0), value], axis=-1)
    return tf.image.hsv_to_rgb(hsv)


def _for_each(images, seed, low, high):
    """A uniform random number for each image, float32 [N, 1, 1, 1]."""
    shape = [tf.shape(images)[0], 1, 1, 1]
    return tf.random.stateless_uniform(shape, seed, low, high)
