"""Augmentation in translation and colour for training on labels (paper section 5).

Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015), whose training the paper
refers to. They take their colours from Howard (2013); the ranges here are those of
TF-Slim's Inception preprocessing. Every random number is drawn by a stateless op.
"""

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import decode_window

MIN_AREA = 0.08
MIN_ASPECT = 3 / 4
BRIGHTNESS = 32 / 255
CONTRAST = 0.5
SATURATION = 0.5
HUE = 0.2
_ATTEMPTS = 100


def random_crop(encoded, size, seed, min_area=MIN_AREA, min_aspect=MIN_ASPECT):
    """A part of a photo of random place, area and aspect, resized to a square.

    TensorFlow's sampler, which Slim takes too, draws the height evenly, not the area.

    Args:
      encoded: scalar string, JPEG or PNG; no more than the part is decoded.
      size: int, pixels.
      seed: int32 [2].
      min_area: smallest share of the photo's area; the largest is 1.
      min_aspect: narrowest width over height; the widest is its inverse.

    Returns:
      uint8 [size, size, 3].
    """

    def choose(height, width):
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.stack([height, width, 3]),
            tf.zeros([1, 0, 4]),
            seed=seed,
            min_object_covered=0.0,
            aspect_ratio_range=(min_aspect, 1 / min_aspect),
            area_range=(min_area, 1.0),
            max_attempts=_ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        return begin[0], begin[1], extent[0], extent[1]

    return resize.resize(decode_window(encoded, choose), size, size)


def random_mirror(images, seed):
    """Mirrors each image of [N, H, W, C] left to right, or not."""
    return tf.image.stateless_random_flip_left_right(images, seed)


def random_color(
    images,
    seed,
    brightness=BRIGHTNESS,
    contrast=CONTRAST,
    saturation=SATURATION,
    hue=HUE,
):
    """Changes brightness and contrast, saturation and hue, of each image by its own.

    Which pair comes first is drawn once for the batch: they do not commute where values
    are clipped.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].
      brightness: most that is added to or taken from the values.
      contrast: distances from each channel's mean change by factors of 1 minus to 1
        plus this.
      saturation: as `contrast`, of the saturation.
      hue: most that it turns either way, as a share of the circle.

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 5))

    def light(net):
        net = net + _for_each(images, seeds[0], 0.0, brightness)
        mean = tf.reduce_mean(net, axis=[1, 2], keepdims=True)
        net = mean + (net - mean) * _for_each(images, seeds[1], 1.0, contrast)
        return tf.clip_by_value(net, 0.0, 1.0)

    def tone(net):
        h, s, v = tf.split(tf.image.rgb_to_hsv(net), 3, axis=-1)
        s = tf.minimum(s * _for_each(images, seeds[2], 1.0, saturation), 1.0)
        h = tf.math.floormod(h + _for_each(images, seeds[3], 0.0, hue), 1.0)
        return tf.image.hsv_to_rgb(tf.concat([h, s, v], axis=-1))

    return tf.cond(
        tf.random.stateless_uniform([], seeds[4]) < 0.5,
        lambda: tone(light(images)),
        lambda: light(tone(images)),
    )


def _for_each(images, seed, middle, reach):
    """A random number around `middle` for each image, float32 [N, 1, 1, 1]."""
    shape = [tf.shape(images)[0], 1, 1, 1]
    return tf.random.stateless_uniform(shape, seed, middle - reach, middle + reach)
