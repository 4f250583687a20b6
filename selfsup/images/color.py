"""Colour spaces and the removal of colour: Lab, lightness only, colour dropping.

Only this module imports TensorFlow I/O, which has no builds for TensorFlow 2.17 and newer;
there, `selfsup.images.lab` replaces it. Colours are sRGB under D65.
"""

from __future__ import annotations

import tensorflow as tf

try:
    from tensorflow_io import experimental

    _lab = experimental.color
except ImportError:
    from selfsup.images import lab as _lab

# Standard deviation of the noise in dropped channels, relative to that of the channel
# that is kept (Doersch et al., ICCV 2015).
_DROPPED_NOISE = 0.01


def rgb_to_lab(images: tf.Tensor) -> tf.Tensor:
    """Converts sRGB to CIE Lab.

    Args:
      images: float32 [..., H, W, 3] in [0, 1].

    Returns:
      float32 of the same shape: L in [0, 100], a and b within [-110, 110].
    """
    return _lab.rgb_to_lab(images)


def lab_to_rgb(lab: tf.Tensor) -> tf.Tensor:
    """Converts CIE Lab to sRGB.

    Args:
      lab: float32 [..., H, W, 3], see `rgb_to_lab`.

    Returns:
      float32 of the same shape in [0, 1]; colours outside the gamut are clipped.
    """
    return _lab.lab_to_rgb(lab)


def replicate_lightness(lab: tf.Tensor) -> tf.Tensor:
    """Makes the trunk's input for tasks without colour (paper section 3.3).

    Args:
      lab: float32 [..., 3], see `rgb_to_lab`.

    Returns:
      float32 of the same shape in [0, 1]: L / 100 in all three channels, so that the
      trunk also accepts colour images.
    """
    lightness = tf.clip_by_value(lab[..., :1] / 100.0, 0.0, 1.0)
    return tf.repeat(lightness, 3, axis=-1)


def harmonize(images: tf.Tensor) -> tf.Tensor:
    """Replaces RGB by lightness, see `replicate_lightness`; [..., H, W, 3] in [0, 1]."""
    return replicate_lightness(rgb_to_lab(images))


def drop_colors(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Keeps a random channel of each image and fills the others with noise.

    The remedy of section 2 against chromatic aberration, which reveals the place of a
    patch in its photo. The noise is Gaussian around mid-gray, which is the trunk's zero.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    channel_seed, noise_seed = tf.unstack(tf.random.split(seed))
    count = tf.shape(images)[0]
    kept = tf.random.stateless_uniform([count], channel_seed, 0, 3, tf.int32)
    mask = tf.one_hot(kept, 3)[:, None, None, :]
    channel = tf.reduce_sum(images * mask, axis=-1, keepdims=True)
    deviation = tf.math.reduce_std(channel, axis=[1, 2], keepdims=True)
    noise = tf.random.stateless_normal(tf.shape(images), noise_seed)
    noise = 0.5 + noise * deviation * _DROPPED_NOISE
    return tf.clip_by_value(mask * images + (1.0 - mask) * noise, 0.0, 1.0)
