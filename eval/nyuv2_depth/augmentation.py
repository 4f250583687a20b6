"""Training crops of photos with depth, as Laina et al. (3DV 2016, section 4) vary them.

Scale, rotation, mirroring and place of a crop are one affine map a photo, so that each
modality is sampled once: the photo bilinearly, the depth by its nearest pixel and at the
resolution of the network's output, since means of depths across an edge are nowhere.
"""

import dataclasses
import math
from typing import Any

import tensorflow as tf

from eval.nyuv2_depth.network import DEPTH_STRIDE


@dataclasses.dataclass(frozen=True)
class Views:
    """How a batch's crops see their photos; float32 tensors.

    Attributes:
      scale: [B], how much a crop enlarges.
      angle: [B], radians.
      mirror: [B], -1 where left and right change places, else 1.
      centre: [B, 2], x and y in the photo of the crop's centre, pixels from its edge.
    """

    scale: Any
    angle: Any
    mirror: Any
    centre: Any


def draw_views(count, config, seed):
    """Random `Views` whose crops, but for the rotation, lie inside of the photos.

    Args:
      count: B, an int or an int32 scalar.
      config: the evaluation's `Config`.
      seed: int32 [2].
    """
    seeds = tf.unstack(tf.random.split(seed, 4))
    scale = tf.random.stateless_uniform([count], seeds[0], 1.0, config.max_scale)
    limit = math.radians(config.max_rotation)
    angle = tf.random.stateless_uniform([count], seeds[1], -limit, limit)
    mirrored = tf.random.stateless_uniform([count], seeds[2]) < 0.5
    crop = tf.constant([config.crop_width, config.crop_height], tf.float32)
    half = crop / (2.0 * scale[:, None])
    room = tf.constant([config.width, config.height], tf.float32) - 2.0 * half
    place = tf.random.stateless_uniform([count, 2], seeds[3])
    return Views(scale, angle, tf.where(mirrored, -1.0, 1.0), half + place * room)


def crop_images(images, views, size):
    """The photos in their views, bilinear, reflected beyond their borders.

    Args:
      images: float32 [B, H, W, 3].
      views: `Views`.
      size: (height, width) of the crops.

    Returns:
      float32 [B, height, width, 3].
    """
    return _warp(images, views, size, 1, "BILINEAR", "REFLECT")


def crop_depths(depths, views, size):
    """The depths in the same views, at half the resolution.

    What is enlarged is nearer: depth is divided by the scale.

    Args:
      depths: float32 [B, H, W, 1], metres, 0 where unknown.
      views: `Views`.
      size: (height, width) of the photos' crops.

    Returns:
      float32 [B, height / 2, width / 2], metres; 0 where unknown and
      beyond the photo.
    """
    cropped = _warp(depths, views, size, DEPTH_STRIDE, "NEAREST", "CONSTANT")
    return cropped[..., 0] / views.scale[:, None, None]


def color(images, share, seed):
    """Multiplies each channel by a random 1 - `share` to 1 + `share`.

    Args:
      images: float32 [B, H, W, 3] in [0, 1].
      share: of the value.
      seed: int32 [2].

    Returns:
      float32 [B, H, W, 3] in [0, 1].
    """
    shape = [tf.shape(images)[0], 1, 1, 3]
    factors = tf.random.stateless_uniform(shape, seed, 1.0 - share, 1.0 + share)
    return tf.clip_by_value(images * factors, 0.0, 1.0)


def augment(images, depths, config, seed):
    """A batch of training crops.

    Args:
      images: uint8 [B, H, W, 3] of the config's size.
      depths: float32 [B, H, W, 1], metres, 0 where unknown.
      config: the evaluation's `Config`.
      seed: int32 [2].

    Returns:
      (images float32 [B, h, w, 3] in [0, 1], depths float32 [B, h / 2, w / 2]) of the
      config's crop size, see `crop_depths`.
    """
    view_seed, color_seed = tf.unstack(tf.random.split(seed))
    views = draw_views(tf.shape(images)[0], config, view_seed)
    size = (config.crop_height, config.crop_width)
    cropped = crop_images(tf.cast(images, tf.float32) / 255.0, views, size)
    cropped = color(cropped, config.color_range, color_seed)
    return cropped, crop_depths(depths, views, size)


def _warp(maps, views, size, stride, interpolation, fill):
    """`maps` sampled at every `stride`-th pixel of the crops."""
    height, width = (side // stride for side in size)
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=maps,
        transforms=_projections(views, size, stride),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode=fill,
    )
    return tf.ensure_shape(warped, [None, height, width, maps.shape[-1]])


def _projections(views, size, stride):
    """Rows [a0, a1, a2, b0, b1, b2, 0, 0] from indices in the crop to the photo's.

    An index is the middle of a pixel, half of it from its edge.
    """
    height, width = size
    cosine = tf.cos(views.angle) / views.scale
    sine = tf.sin(views.angle) / views.scale
    x_of_x, y_of_x = cosine * views.mirror, sine * views.mirror
    # From the crop's centre to the middle of its first pixel.
    first_x, first_y = (stride - width) / 2.0, (stride - height) / 2.0
    x = views.centre[:, 0] + x_of_x * first_x - sine * first_y - 0.5
    y = views.centre[:, 1] + y_of_x * first_x + cosine * first_y - 0.5
    zero = tf.zeros_like(x)
    rows = [stride * x_of_x, -stride * sine, x, stride * y_of_x, stride * cosine, y]
    return tf.stack([*rows, zero, zero], axis=-1)
