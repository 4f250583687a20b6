"""Augmentation in translation and colour for training on labels (paper section 5).

Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015), whose augmentation the paper
uses. They follow Howard (2013) for colours; the ranges here are those of TF-Slim's
Inception preprocessing. All random numbers come from stateless operations.
"""

from __future__ import annotations

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import Window, decode_window

MIN_AREA = 0.08
MIN_ASPECT = 3 / 4
BRIGHTNESS = 32 / 255
CONTRAST = 0.5
SATURATION = 0.5
HUE = 0.2
_ATTEMPTS = 100


def random_crop(
    encoded: tf.Tensor,
    size: int,
    seed: tf.Tensor,
    min_area: float = MIN_AREA,
    min_aspect: float = MIN_ASPECT,
) -> tf.Tensor:
    """Crops a random rectangle of a photo and resizes it to a square.

    Place, area and aspect ratio of the rectangle are random. TensorFlow's sampler, which
    Slim uses too, draws a uniform height instead of a uniform area.

    Args:
      encoded: scalar string, JPEG or PNG; only the rectangle is decoded.
      size: side of the result in pixels.
      seed: int32 [2].
      min_area: least share of the photo's area; the greatest is 1.
      min_aspect: least width / height; the greatest is its inverse.

    Returns:
      uint8 [size, size, 3].
    """

    def choose(height: tf.Tensor, width: tf.Tensor) -> Window:
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


def random_mirror(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors random images of a batch, [N, H, W, C], left to right."""
    return tf.image.stateless_random_flip_left_right(images, seed)


def random_color(
    images: tf.Tensor,
    seed: tf.Tensor,
    brightness: float = BRIGHTNESS,
    contrast: float = CONTRAST,
    saturation: float = SATURATION,
    hue: float = HUE,
) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue of each image independently.

    Either brightness and contrast change first or saturation and hue; the order, which
    matters where values are clipped, is drawn once for the batch.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].
      brightness: greatest value that is added or subtracted.
      contrast: differences from each channel's mean are multiplied by a factor between
        1 - contrast and 1 + contrast.
      saturation: the saturation is multiplied by a factor between 1 - saturation and
        1 + saturation.
      hue: greatest rotation of the hue in either direction, as a share of the circle.

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 5))

    def change_light(net: tf.Tensor) -> tf.Tensor:
        net = net + _per_image(images, seeds[0], 0.0, brightness)
        mean = tf.reduce_mean(net, axis=[1, 2], keepdims=True)
        net = mean + (net - mean) * _per_image(images, seeds[1], 1.0, contrast)
        return tf.clip_by_value(net, 0.0, 1.0)

    def change_tone(net: tf.Tensor) -> tf.Tensor:
        h, s, v = tf.split(tf.image.rgb_to_hsv(net), 3, axis=-1)
        s = tf.minimum(s * _per_image(images, seeds[2], 1.0, saturation), 1.0)
        h = tf.math.floormod(h + _per_image(images, seeds[3], 0.0, hue), 1.0)
        return tf.image.hsv_to_rgb(tf.concat([h, s, v], axis=-1))

    return tf.cond(
        tf.random.stateless_uniform([], seeds[4]) < 0.5,
        lambda: change_tone(change_light(images)),
        lambda: change_light(change_tone(images)),
    )


def _per_image(
    images: tf.Tensor, seed: tf.Tensor, centre: float, reach: float
) -> tf.Tensor:
    """Draws a number in [centre - reach, centre + reach) per image: [N, 1, 1, 1]."""
    shape = [tf.shape(images)[0], 1, 1, 1]
    return tf.random.stateless_uniform(shape, seed, centre - reach, centre + reach)
