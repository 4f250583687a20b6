"""The exemplar task's random transformations, after Dosovitskiy et al. (NIPS 2014).

The one module that imports TensorFlow Addons. Ranges are those of the publication.
Every random number is drawn here by a stateless op and handed over explicitly.
"""

import math

import tensorflow as tf
import tensorflow_addons as tfa

TRANSLATION = 0.2  # Of the patch size, either way, in x and y.
SCALE = (0.7, 1.4)
ROTATION = math.radians(20)  # Either way.
COMPONENT_FACTOR = (0.5, 2.0)
POWER = (0.25, 4.0)
FACTOR = (0.7, 1.4)
OFFSET = (-0.1, 0.1)  # Of saturation, value and hue, all in [0, 1].

# Principal components (columns) of ImageNet's RGB values, published with AlexNet
# (Krizhevsky et al., NIPS 2012).
_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def reach(size):
    """How far from its centre, in pixels, a patch of `random_warp` can see, an int."""
    corner = (math.cos(ROTATION) + math.sin(ROTATION)) * (size - 1) / 2 / SCALE[0]
    # One more, as the photo's own pixels may not begin where the window does.
    return math.ceil(TRANSLATION * size + corner) + 1


def random_warp(images, centres, size, seed):
    """Cuts a patch around a point, randomly moved, scaled and rotated, in one warp.

    Args:
      images: float32 [N, H, W, 3].
      centres: float32 [N, 2], x and y of the unmoved patches' centres, pixels.
      size: int, side of the patch.
      seed: int32 [2].

    Returns:
      float32 [N, size, size, 3], bilinear; reflected beyond the image's border.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    count = tf.shape(images)[0]
    limit = TRANSLATION * size
    moved = centres + tf.random.stateless_uniform([count, 2], seeds[0], -limit, limit)
    scale = _uniform([count], seeds[1], *SCALE)
    angle = _uniform([count], seeds[2], -ROTATION, ROTATION)
    patches = tfa.image.transform(
        images,
        _similarity(moved, scale, angle, size),
        interpolation="bilinear",
        fill_mode="reflect",
        output_shape=[size, size],
    )
    return tf.ensure_shape(patches, [None, size, size, 3])


def random_color(images, seed):
    """Jitters contrast along the principal colours, then saturation, value and hue.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    component_seed, hsv_seed = tf.unstack(tf.random.split(seed))
    return _random_hsv(_random_components(images, component_seed), hsv_seed)


def _similarity(centres, scale, angle, size):
    """Rows [a0, a1, a2, b0, b1, b2, 0, 0] from patch to image coordinates.

    Args:
      centres: float32 [N, 2], x and y in the image, where the patch's centre goes.
      scale: float32 [N]; above 1 the patch sees less of the image, enlarged.
      angle: float32 [N], radians.
      size: int, side of the patch.
    """
    cosine, sine = tf.cos(angle) / scale, tf.sin(angle) / scale
    middle = (size - 1) / 2.0
    x = centres[:, 0] - middle * (cosine - sine)
    y = centres[:, 1] - middle * (sine + cosine)
    zero = tf.zeros_like(angle)
    return tf.stack([cosine, -sine, x, sine, cosine, y, zero, zero], axis=-1)


def _random_components(images, seed):
    """Scales each image's projections on the principal colours by random factors.

    They are taken about the image's mean colour: contrast changes, brightness not.
    """
    components = tf.constant(_COMPONENTS)
    factors = _log_uniform([tf.shape(images)[0], 1, 1, 3], seed, *COMPONENT_FACTOR)
    mean = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    projections = tf.einsum("nhwc,ck->nhwk", images - mean, components)
    changed = tf.einsum("nhwk,ck->nhwc", projections * factors, components)
    return tf.clip_by_value(mean + changed, 0.0, 1.0)


def _random_hsv(images, seed):
    """Powers, scales and shifts saturation and value; shifts hue."""
    seeds = tf.unstack(tf.random.split(seed, 4))
    count = tf.shape(images)[0]
    pair = [count, 1, 1, 2]
    hsv = tf.image.rgb_to_hsv(images)
    hue = hsv[..., :1] + _uniform([count, 1, 1, 1], seeds[0], *OFFSET)
    saturation_value = hsv[..., 1:] ** _log_uniform(pair, seeds[1], *POWER)
    saturation_value *= _uniform(pair, seeds[2], *FACTOR)
    saturation_value += _uniform(pair, seeds[3], *OFFSET)
    saturation_value = tf.clip_by_value(saturation_value, 0.0, 1.0)
    hsv = tf.concat([tf.math.floormod(hue, 1.0), saturation_value], axis=-1)
    return tf.image.hsv_to_rgb(hsv)


def _uniform(shape, seed, low, high):
    return tf.random.stateless_uniform(shape, seed, low, high)


def _log_uniform(shape, seed, low, high):
    """A factor as likely to enlarge as to shrink."""
    return tf.exp(_uniform(shape, seed, math.log(low), math.log(high)))
