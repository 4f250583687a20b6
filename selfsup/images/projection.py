"""Images under projective maps: TensorFlow Addons' `transform`, or what it wraps.

The one module that imports TensorFlow Addons, which loads on no TensorFlow newer than
2.15. Its function checks its arguments and calls an op of TensorFlow itself.
"""

import tensorflow as tf


def transform_by_op(images, transforms, interpolation, fill_mode, output_shape):
    """Stands in for `tensorflow_addons.image.transform`; the result is bit-identical.

    Args:
      images: float32 [N, H, W, C].
      transforms: float32 [N, 8], from points of the output to points of the input: the
        first eight entries of the 3x3 matrix of each projection, row by row.
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
