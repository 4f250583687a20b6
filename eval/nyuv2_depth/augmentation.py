"""Training crops of photos with depth, varied as in Laina et al. (3DV 2016, section 4).

The scale, rotation, mirroring and position of a crop form one affine map per photo, so
that the photo and its depth are sampled once each: the photo bilinearly, the depth by its
nearest pixel and at the resolution of the network's output. Depth is not interpolated,
because the mean of two depths across an edge is the depth of neither surface.
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from eval.nyuv2_depth.config import DenseConfig
from eval.nyuv2_depth.network import DEPTH_STRIDE
from eval.trunk_features import trunk_input


@dataclasses.dataclass(frozen=True)
class Views:
    """How the crops of a batch are taken from their photos; float32 tensors.

    Attributes:
      scale: [B], factor by which a crop is enlarged.
      angle: [B], radians.
      mirror: [B], -1 for a mirrored crop, 1 for others.
      centre: [B, 2], x and y of the crop's centre in the photo, in pixels from its edge.
    """

    scale: tf.Tensor
    angle: tf.Tensor
    mirror: tf.Tensor
    centre: tf.Tensor


def draw_views(count: int | tf.Tensor, config: DenseConfig, seed: tf.Tensor) -> Views:
    """Draws random views whose crops, before rotation, lie inside the photos.

    Args:
      count: B, an int or an int32 scalar.
      config: the hyperparameters.
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
    position = tf.random.stateless_uniform([count, 2], seeds[3])
    return Views(scale, angle, tf.where(mirrored, -1.0, 1.0), half + position * room)


def crop_images(images: tf.Tensor, views: Views, size: tuple[int, int]) -> tf.Tensor:
    """Crops photos bilinearly, reflected beyond their borders.

    Args:
      images: float32 [B, H, W, 3].
      views: the views.
      size: (height, width) of the crops.

    Returns:
      float32 [B, height, width, 3].
    """
    return _warp(images, views, size, 1, "BILINEAR", "REFLECT")


def crop_depths(depths: tf.Tensor, views: Views, size: tuple[int, int]) -> tf.Tensor:
    """Crops depths in the same views, at half the resolution.

    An enlarged object is nearer, so depth is divided by the scale.

    Args:
      depths: float32 [B, H, W, 1], metres, 0 where unknown.
      views: the views.
      size: (height, width) of the crops of the photos.

    Returns:
      float32 [B, height / 2, width / 2], metres; 0 where unknown and beyond the photo.
    """
    return crop_maps(depths, views, size)[..., 0] / views.scale[:, None, None]


def crop_maps(maps: tf.Tensor, views: Views, size: tuple[int, int]) -> tf.Tensor:
    """Crops maps in the same views as photos, at half the resolution, nearest pixels.

    Args:
      maps: float32 [B, H, W, C].
      views: the views.
      size: (height, width) of the crops of the photos.

    Returns:
      float32 [B, height / 2, width / 2, C]; 0 beyond the photo.
    """
    return _warp(maps, views, size, DEPTH_STRIDE, "NEAREST", "CONSTANT")


def color(images: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Multiplies each channel by a random factor in [1 - `share`, 1 + `share`].

    Args:
      images: float32 [B, H, W, 3] in [0, 1].
      share: largest deviation of a factor from 1.
      seed: int32 [2].

    Returns:
      float32 [B, H, W, 3] in [0, 1].
    """
    shape = [tf.shape(images)[0], 1, 1, 3]
    factors = tf.random.stateless_uniform(shape, seed, 1.0 - share, 1.0 + share)
    return tf.clip_by_value(images * factors, 0.0, 1.0)


def augment(
    images: tf.Tensor, depths: tf.Tensor, config: DenseConfig, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes a batch of training crops.

    Args:
      images: uint8 [B, H, W, 3], H and W as the config says.
      depths: float32 [B, H, W, 1], metres, 0 where unknown.
      config: the hyperparameters.
      seed: int32 [2].

    Returns:
      (images float32 [B, h, w, 3] in [0, 1], depths float32 [B, h / 2, w / 2]) for the
      config's crop size h x w, see `crop_depths`.
    """
    cropped, views = crop_and_color(images, config, seed)
    size = (config.crop_height, config.crop_width)
    return cropped, crop_depths(depths, views, size)


def crop_and_color(
    images: tf.Tensor, config: DenseConfig, seed: tf.Tensor
) -> tuple[tf.Tensor, Views]:
    """Crops and recolours a batch of photos at random.

    Args:
      images: uint8 [B, H, W, 3], H and W as the config says.
      config: the hyperparameters.
      seed: int32 [2].

    Returns:
      (images float32 [B, h, w, 3] in [0, 1] for the config's crop size h x w, the views
      in which they were cropped).
    """
    view_seed, color_seed = tf.unstack(tf.random.split(seed))
    views = draw_views(tf.shape(images)[0], config, view_seed)
    size = (config.crop_height, config.crop_width)
    cropped = crop_images(trunk_input(images), views, size)
    return color(cropped, config.color_range, color_seed), views


def _warp(
    maps: tf.Tensor,
    views: Views,
    size: tuple[int, int],
    stride: int,
    interpolation: str,
    fill: str,
) -> tf.Tensor:
    """Samples float32 [B, H, W, C] at every `stride`-th pixel of the crops."""
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


def _projections(views: Views, size: tuple[int, int], stride: int) -> tf.Tensor:
    """Maps from pixel indices in the crops to pixel indices in the photos.

    An index is the middle of a pixel, half a pixel from its edge.

    Returns:
      float32 [B, 8], rows a0, a1, a2, b0, b1, b2, 0, 0.
    """
    height, width = size
    cosine = tf.cos(views.angle) / views.scale
    sine = tf.sin(views.angle) / views.scale
    # How x and y of the photo change with x of the crop.
    x_per_x, y_per_x = cosine * views.mirror, sine * views.mirror
    # From the centre of the crop to the middle of its first pixel.
    first_x, first_y = (stride - width) / 2.0, (stride - height) / 2.0
    x = views.centre[:, 0] + x_per_x * first_x - sine * first_y - 0.5
    y = views.centre[:, 1] + y_per_x * first_x + cosine * first_y - 0.5
    zero = tf.zeros_like(x)
    rows = [stride * x_per_x, -stride * sine, x, stride * y_per_x, stride * cosine, y]
    return tf.stack([*rows, zero, zero], axis=-1)
