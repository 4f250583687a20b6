"""Projective transformations of images.

Only this module imports TensorFlow Addons, which does not load on TensorFlow newer than
2.15. `tensorflow_addons.image.transform` checks its arguments and calls an operation of
TensorFlow, which `transform_by_op` calls directly.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def transform_by_op(
    images: tf.Tensor,
    transforms: tf.Tensor,
    interpolation: str,
    fill_mode: str,
    output_shape: tf.Tensor | Sequence[int],
) -> tf.Tensor:
    """Replaces `tensorflow_addons.image.transform`; the result is bit-identical.

    Args:
      images: float32 [N, H, W, C].
      transforms: float32 [N, 8], the first eight entries, row by row, of each 3x3 matrix
        that maps points of the output to points of the input.
      interpolation: "bilinear" or "nearest".
      fill_mode: "reflect", "wrap", "constant" (zeros) or "nearest".
      output_shape: int32 [2], height and width.

    Returns:
      float32 [N, *output_shape, C].
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=output_shape,
        interpolation=interpolation.upper(),
        fill_mode=fill_mode.upper(),
        fill_value=0.0,
    )


try:
    from tensorflow_addons.image import transform
except ImportError:
    transform = transform_by_op

__all__ = ["transform", "transform_by_op"]
