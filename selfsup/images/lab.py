"""CIE Lab in TensorFlow, used where TensorFlow I/O has no builds.

The results are within 2e-4 of TensorFlow I/O's `experimental.color`, which
`selfsup.images.color` uses if it is installed.
"""

from __future__ import annotations

import tensorflow as tf

# The matrix from linear sRGB to XYZ (rows X, Y and Z) and the white point of D65, with
# the digits that TensorFlow I/O and scikit-image use (IEC 61966-2-1).
_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
# Below this cube root, CIE's function is linear.
_KNEE = 6.0 / 29.0


def rgb_to_lab(images: tf.Tensor) -> tf.Tensor:
    """Converts sRGB to Lab.

    Args:
      images: float32 [..., 3] in [0, 1].

    Returns:
      float32 [..., 3], L in [0, 100].
    """
    linear = tf.where(
        images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92
    )
    xyz = tf.tensordot(linear, tf.transpose(_TO_XYZ), 1) / _WHITE
    x, y, z = tf.unstack(
        tf.where(xyz > _KNEE**3, xyz ** (1 / 3), xyz / (3 * _KNEE**2) + 4 / 29), axis=-1
    )
    return tf.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def lab_to_rgb(lab: tf.Tensor) -> tf.Tensor:
    """Converts Lab to sRGB.

    Args:
      lab: float32 [..., 3].

    Returns:
      float32 [..., 3] in [0, 1]; colours outside the gamut are clipped.
    """
    lightness, a, b = tf.unstack(lab, axis=-1)
    y = (lightness + 16.0) / 116.0
    roots = tf.stack([y + a / 500.0, y, tf.maximum(y - b / 200.0, 0.0)], axis=-1)
    xyz = tf.where(
        roots > _KNEE, roots**3, 3 * _KNEE**2 * (roots - 4 / 29)
    ) * tf.constant(_WHITE)
    linear = tf.tensordot(xyz, tf.transpose(tf.linalg.inv(tf.constant(_TO_XYZ))), 1)
    rgb = tf.where(
        linear > 0.0031308,
        1.055 * tf.maximum(linear, 0.0) ** (1 / 2.4) - 0.055,
        12.92 * linear,
    )
    return tf.clip_by_value(rgb, 0.0, 1.0)
