"""True surface normals from depth: a least-squares plane around each pixel.

The camera is a pinhole. A pixel with the image coordinates x = (u - u0) / fx and
y = (v - v0) / fy and the depth Z is the point (xZ, yZ, Z). All points of a plane satisfy
a X + b Y + c Z = 1, so their inverse depth is linear in the image: 1 / Z = a x + b y + c.
A linear regression of the inverse depth in a window gives (a, b, c), which is a normal of
the plane. It is exact for planes of any slope. The error of a Kinect grows with the square
of the depth (Khoshelham & Elberink, Sensors 2012), so that the error of its inverse depth
is the same everywhere, which is what unweighted least squares assume.

The sums over windows are differences of cumulative sums, so that the time does not depend
on the size of the window.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera; all values are shares of the photo's width or height.

    Attributes:
      focal_x, focal_y: focal lengths.
      centre_x, centre_y: principal point, from the left and upper edge of the photo.
    """

    focal_x: float
    focal_y: float
    centre_x: float = 0.5
    centre_y: float = 0.5


@dataclasses.dataclass(frozen=True)
class PlaneFit:
    """How planes are fitted.

    Attributes:
      window: side of the window, as a share of the width of the depth map; in pixels it is
        rounded to an odd number of at least 3.
      known: smallest share of the window's pixels whose depth has to be known, at least
        1/2. Pixels beyond the edge of the map are unknown.
      error: largest root mean squared residual, as a share of the depth.
    """

    window: float
    known: float
    error: float


def normals(depth: tf.Tensor, camera: Camera, fit: PlaneFit) -> tf.Tensor:
    """Computes the surface normals of a depth map.

    A pixel has no normal if its depth is unknown, if too few pixels around it have a
    depth, or if the fit is poor, as at the edge of an object, where the window holds two
    surfaces.

    Args:
      depth: float32 [H, W], metres along the axis of the camera, 0 where unknown.
      camera: the camera.
      fit: how planes are fitted.

    Returns:
      float32 [H, W, 3], unit vectors towards the camera: x to the right, y up, z towards
      the camera; 0 where the normal is unknown.
    """
    depth = tf.cast(depth, tf.float64)
    known = depth > 0
    x, y = _image_coordinates(tf.shape(depth), camera)
    inverse = tf.math.divide_no_nan(tf.ones_like(depth), depth)
    radius = _radius(tf.shape(depth)[1], fit.window)
    weight = tf.cast(known, tf.float64)
    moments = tf.stack(
        [
            *(tf.ones_like(x), x, y, inverse),
            *(x * x, x * y, y * y),
            *(x * inverse, y * inverse, inverse * inverse),
        ],
        axis=-1,
    )
    sums = _window_sums(moments * weight[..., None], radius)
    count = tf.maximum(sums[..., 0], 1.0)
    plane, squares = _regression(sums / count[..., None])
    side = tf.cast(2 * radius + 1, tf.float64)
    valid = known & (sums[..., 0] >= fit.known * side**2)
    valid &= squares <= (fit.error * inverse) ** 2
    a, b, c = tf.unstack(plane, axis=-1)
    # (a, b, c) points away from the camera, with y down and z forward.
    vectors = tf.math.l2_normalize(
        tf.stack([-a, b, c], axis=-1), axis=-1, epsilon=1e-24
    )
    return tf.cast(tf.where(valid[..., None], vectors, 0.0), tf.float32)


def _image_coordinates(shape: tf.Tensor, camera: Camera) -> tuple[tf.Tensor, tf.Tensor]:
    """x and y of the centres of all pixels of a map: float64 [H, W] each."""
    height, width = tf.unstack(tf.cast(shape, tf.float64))
    u = (tf.range(width, dtype=tf.float64) + 0.5) / width
    v = (tf.range(height, dtype=tf.float64) + 0.5) / height
    x, y = tf.meshgrid(
        (u - camera.centre_x) / camera.focal_x, (v - camera.centre_y) / camera.focal_y
    )
    return x, y


def _radius(width: tf.Tensor, share: float) -> tf.Tensor:
    """Pixels from the centre of a window to its outermost pixels: int32 scalar."""
    radius = tf.round(tf.cast(width, tf.float64) * share / 2.0)
    return tf.maximum(tf.cast(radius, tf.int32), 1)


def _window_sums(values: tf.Tensor, radius: tf.Tensor) -> tf.Tensor:
    """Sums float64 [H, W, C] over the windows around all pixels: [H, W, C]."""
    for axis in (0, 1):
        length = tf.shape(values)[axis]
        padding = [[0, 0]] * 3
        padding[axis] = [1, 0]
        totals = tf.pad(tf.cumsum(values, axis=axis), padding)
        position = tf.range(length)
        last = tf.minimum(position + radius + 1, length)
        first = tf.maximum(position - radius, 0)
        values = tf.gather(totals, last, axis=axis) - tf.gather(
            totals, first, axis=axis
        )
    return values


def _regression(means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Linear regression of the inverse depth in each window.

    Args:
      means: float64 [H, W, 10], means over the window of 1, x, y, d, x^2, xy, y^2, xd, yd
        and d^2, for d the inverse depth.

    Returns:
      (a, b and c of d = a x + b y + c, float64 [H, W, 3]; the mean squared residuals,
      float64 [H, W]).
    """
    _, x, y, d, xx, xy, yy, xd, yd, dd = tf.unstack(means, axis=-1)
    xx, xy, yy = xx - x * x, xy - x * y, yy - y * y
    xd, yd, dd = xd - x * d, yd - y * d, dd - d * d
    # 0 in windows without two known pixels in each direction, which are not valid.
    determinant = xx * yy - xy * xy
    a = tf.math.divide_no_nan(xd * yy - yd * xy, determinant)
    b = tf.math.divide_no_nan(yd * xx - xd * xy, determinant)
    return tf.stack([a, b, d - a * x - b * y], axis=-1), dd - a * xd - b * yd
