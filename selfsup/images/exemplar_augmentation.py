"""The exemplar task's random transformations, after Dosovitskiy et al. (NIPS 2014).

Ranges are those of the publication.
Every random number is drawn here by a stateless op and handed over explicitly.
"""

import math

import tensorflow as tf

from selfsup.images import projection

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

# Where x and y of an offset stand in a row of a warp.
_X = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_Y = (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def reach(size):
    """How far from its centre, in pixels, a patch of `draw_warps` can see, an int."""
    corner = (math.cos(ROTATION) + math.sin(ROTATION)) * (size - 1) / 2 / SCALE[0]
    # One more for the second tap.
    return math.ceil(TRANSLATION * size + corner) + 1


def draw_warps(centres, size, seed):
    """Draws how patches around points are moved, scaled and rotated.

    Args:
      centres: float32 [N, 2], x and y of the unmoved patches' centres, pixels.
      size: int, side of the patches.
      seed: int32 [2].

    Returns:
      float32 [N, 8], for `warp`: rows [a0, a1, a2, b0, b1, b2, 0, 0] that take x and y
      in the patch to a0 x + a1 y + a2 and b0 x + b1 y + b2 in the image.
    """
    shift = (-TRANSLATION * size, TRANSLATION * size)
    ranges = tf.constant([shift, shift, SCALE, (-ROTATION, ROTATION)])
    low, high = ranges[:, 0], ranges[:, 1]
    draws = tf.random.stateless_uniform([tf.shape(centres)[0], 4], seed)
    draws = low + draws * (high - low)
    return _similarity(centres + draws[:, :2], draws[:, 2], draws[:, 3], size)


def visible_range(warps, size):
    """What patches see of an image, its border aside.

    Args:
      warps: float32 [N, 8], as of `draw_warps`.
      size: int, side of the patches.

    Returns:
      float32 [N, 2] twice: least and greatest x and y. Bilinear taps lie less than a
      pixel outside.
    """
    rows = tf.reshape(warps[:, :6], [-1, 2, 3])
    middle = (size - 1) / 2.0
    centre = middle * tf.reduce_sum(rows[..., :2], axis=-1) + rows[..., 2]
    extent = middle * tf.reduce_sum(tf.abs(rows[..., :2]), axis=-1)
    return centre - extent, centre + extent


def shift_origin(warps, origin):
    """The same warps of an image that begins at `by`, float32 [2], x and y."""
    return warps - tf.linalg.matvec((_X, _Y), origin, transpose_a=True)


def warp(images, warps, size):
    """Cuts one patch out of each image.

    Args:
      images: float32 [N, H, W, 3].
      warps: float32 [N, 8], as of `draw_warps`.
      size: int, side of the patches.

    Returns:
      float32 [N, size, size, 3], bilinear; reflected beyond the image's border.
    """
    patches = projection.transform(
        images,
        warps,
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
