"""Random transformations of the exemplar task, after Dosovitskiy et al. (NIPS 2014).

With `RunConfig.augment`, the other tasks use them too (paper section 7). The ranges
are those of the publication. All random numbers come from stateless operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from selfsup.images import projection

TRANSLATION = 0.2  # Relative to the patch size, in both directions of x and y.
SCALE = (0.7, 1.4)
ROTATION = math.radians(20)  # In both directions.
COMPONENT_FACTOR = (0.5, 2.0)
POWER = (0.25, 4.0)
FACTOR = (0.7, 1.4)
OFFSET = (-0.1, 0.1)  # Added to saturation, value and hue, which are in [0, 1].

# Principal components (columns) of ImageNet's RGB values, published with AlexNet
# (Krizhevsky et al., NIPS 2012).
_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)

# Images are gray if their channels differ less, which is below half a gray level of 255.
_GRAY_SPREAD = 1e-3

# Rows of a warp that x and y of a point are multiplied by to move its origin.
_X = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_Y = (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def reach(size: int) -> int:
    """Returns the distance from its centre at which a warped patch can see pixels.

    Args:
      size: side of the patch in pixels; see `draw_warps`.

    Returns:
      pixels, rounded up.
    """
    corner = (math.cos(ROTATION) + math.sin(ROTATION)) * (size - 1) / 2 / SCALE[0]
    # One more pixel for the second tap of bilinear interpolation.
    return math.ceil(TRANSLATION * size + corner) + 1


def draw_warps(centres: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws random translations, scales and rotations of patches.

    Args:
      centres: float32 [N, 2], x and y of the patches' centres before translation, pixels.
      size: side of the patches in pixels.
      seed: int32 [2].

    Returns:
      float32 [N, 8], for `warp`: rows [a0, a1, a2, b0, b1, b2, 0, 0], which map x and y in
      the patch to a0 x + a1 y + a2 and b0 x + b1 y + b2 in the image.
    """
    shift = (-TRANSLATION * size, TRANSLATION * size)
    ranges = tf.constant([shift, shift, SCALE, (-ROTATION, ROTATION)])
    low, high = ranges[:, 0], ranges[:, 1]
    draws = tf.random.stateless_uniform([tf.shape(centres)[0], 4], seed)
    draws = low + draws * (high - low)
    return _similarity(centres + draws[:, :2], draws[:, 2], draws[:, 3], size)


def visible_range(warps: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes which part of an image each warped patch sees.

    The image's border is ignored.

    Args:
      warps: float32 [N, 8], see `draw_warps`.
      size: side of the patches in pixels.

    Returns:
      least and greatest x and y, both float32 [N, 2]. Bilinear interpolation reads less
      than a pixel beyond them.
    """
    rows = tf.reshape(warps[:, :6], [-1, 2, 3])
    middle = (size - 1) / 2.0
    centre = middle * tf.reduce_sum(rows[..., :2], axis=-1) + rows[..., 2]
    extent = middle * tf.reduce_sum(tf.abs(rows[..., :2]), axis=-1)
    return centre - extent, centre + extent


def shift_origin(warps: tf.Tensor, origin: tf.Tensor) -> tf.Tensor:
    """Adapts warps to a crop of their image.

    Args:
      warps: float32 [N, 8], see `draw_warps`.
      origin: float32 [2], x and y of the crop in the image.

    Returns:
      float32 [N, 8]: warps that read the same pixels from the crop.
    """
    return warps - tf.linalg.matvec((_X, _Y), origin, transpose_a=True)


def warp(images: tf.Tensor, warps: tf.Tensor, size: int) -> tf.Tensor:
    """Reads one patch from each image, with bilinear interpolation.

    Args:
      images: float32 [N, H, W, 3].
      warps: float32 [N, 8], see `draw_warps`.
      size: side of the patches in pixels.

    Returns:
      float32 [N, size, size, 3]. Beyond its border an image is continued by reflection.
    """
    patches = projection.transform(
        images,
        warps,
        interpolation="bilinear",
        fill_mode="reflect",
        output_shape=[size, size],
    )
    return tf.ensure_shape(patches, [None, size, size, 3])


def random_color(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Jitters contrast along the principal colours, then saturation, value and hue.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    component_seed, hsv_seed = tf.unstack(tf.random.split(seed))
    return _random_hsv(_random_components(images, component_seed), hsv_seed)


def random_views(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Moves, scales and rotates whole images around their centres; see `draw_warps`.

    Args:
      images: float32 [N, s, s, 3] with a static s.
      seed: int32 [2].

    Returns:
      float32 [N, s, s, 3]. Beyond its border an image is continued by reflection.
    """
    size = images.shape[1]
    centres = tf.fill([tf.shape(images)[0], 2], (size - 1) / 2.0)
    return warp(images, draw_warps(centres, size, seed), size)


def random_tone(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Jitters contrast and brightness with the same curve for all channels of an image.

    The ranges are those of `random_color`. A value depends on the pixel's value in the
    same channel and on the image's mean only, so colours are not mixed.

    Args:
      images: float32 [N, H, W, C] in [0, 1].
      seed: int32 [2].

    Returns:
      float32 [N, H, W, C] in [0, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 4))
    shape = [tf.shape(images)[0], 1, 1, 1]
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    contrast = _log_uniform(shape, seeds[0], *COMPONENT_FACTOR)
    images = tf.clip_by_value(mean + contrast * (images - mean), 0.0, 1.0)
    images = images ** _log_uniform(shape, seeds[1], *POWER)
    images *= _uniform(shape, seeds[2], *FACTOR)
    return tf.clip_by_value(images + _uniform(shape, seeds[3], *OFFSET), 0.0, 1.0)


def random_color_keeping_gray(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Like `random_color`, but gray images stay gray: only their tone changes.

    Args:
      images: float32 [N, H, W, 3] in [0, 1].
      seed: int32 [2].

    Returns:
      float32 [N, H, W, 3] in [0, 1].
    """
    spread = tf.reduce_max(images, axis=-1) - tf.reduce_min(images, axis=-1)
    gray = tf.reduce_max(spread, axis=[1, 2]) < _GRAY_SPREAD
    return tf.where(
        gray[:, None, None, None], random_tone(images, seed), random_color(images, seed)
    )


def _similarity(
    centres: tf.Tensor, scale: tf.Tensor, angle: tf.Tensor, size: int
) -> tf.Tensor:
    """Returns rows [a0, a1, a2, b0, b1, b2, 0, 0] from patch to image coordinates.

    Args:
      centres: float32 [N, 2], x and y in the image of the patches' centres.
      scale: float32 [N]; above 1 the patch sees a smaller part of the image, enlarged.
      angle: float32 [N], radians.
      size: side of the patches in pixels.

    Returns:
      float32 [N, 8].
    """
    cosine, sine = tf.cos(angle) / scale, tf.sin(angle) / scale
    middle = (size - 1) / 2.0
    x = centres[:, 0] - middle * (cosine - sine)
    y = centres[:, 1] - middle * (sine + cosine)
    zero = tf.zeros_like(angle)
    return tf.stack([cosine, -sine, x, sine, cosine, y, zero, zero], axis=-1)


def _random_components(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales each image's projections on the principal colours by random factors.

    The projections are those of the differences from the image's mean colour, so that the
    contrast changes and the brightness does not.
    """
    components = tf.constant(_COMPONENTS)
    factors = _log_uniform([tf.shape(images)[0], 1, 1, 3], seed, *COMPONENT_FACTOR)
    mean = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    projections = tf.einsum("nhwc,ck->nhwk", images - mean, components)
    changed = tf.einsum("nhwk,ck->nhwc", projections * factors, components)
    return tf.clip_by_value(mean + changed, 0.0, 1.0)


def _random_hsv(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Raises saturation and value to a power, scales and shifts them; shifts hue."""
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


def _uniform(
    shape: Sequence[int | tf.Tensor], seed: tf.Tensor, low: float, high: float
) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, low, high)


def _log_uniform(
    shape: Sequence[int | tf.Tensor], seed: tf.Tensor, low: float, high: float
) -> tf.Tensor:
    """Draws factors whose logarithm is uniform."""
    return tf.exp(_uniform(shape, seed, math.log(low), math.log(high)))
