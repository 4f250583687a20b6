"""Training crops of photos with surface normals, varied like those of depth."""

from __future__ import annotations

import tensorflow as tf

from eval.nyuv2_depth.augmentation import Views, crop_and_color, crop_maps
from eval.nyuv2_normals.config import Config


def augment(
    images: tf.Tensor, normals: tf.Tensor, config: Config, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes a batch of training crops.

    Args:
      images: uint8 [B, H, W, 3], H and W as the config says.
      normals: float32 [B, H, W, 3], 0 where unknown.
      config: the hyperparameters.
      seed: int32 [2].

    Returns:
      (images float32 [B, h, w, 3] in [0, 1], normals float32 [B, h / 2, w / 2, 3]) for the
      config's crop size h x w; normals are 0 where unknown and beyond the photo.
    """
    cropped, views = crop_and_color(images, config, seed)
    size = (config.crop_height, config.crop_width)
    return cropped, turn(crop_maps(normals, views, size), views)


def turn(normals: tf.Tensor, views: Views) -> tf.Tensor:
    """Turns the normals of cropped photos to where they point in the crops.

    Mirroring and rotation act on x and y. Depth is divided by the scale of a crop, which
    makes surfaces less steep: as normals transform by the inverse transpose, their z is
    multiplied by the scale (Eigen & Fergus, ICCV 2015, section 5).

    Args:
      normals: float32 [B, h, w, 3] in the axes of the photos, 0 where unknown.
      views: the views.

    Returns:
      float32 [B, h, w, 3], unit vectors or 0.
    """
    cosine, sine, mirror, scale = (
        value[:, None, None]
        for value in (
            tf.cos(views.angle),
            tf.sin(views.angle),
            views.mirror,
            views.scale,
        )
    )
    x, y, z = tf.unstack(normals, axis=-1)
    turned = tf.stack(
        [mirror * (cosine * x - sine * y), sine * x + cosine * y, scale * z], axis=-1
    )
    return tf.math.l2_normalize(turned, axis=-1)
