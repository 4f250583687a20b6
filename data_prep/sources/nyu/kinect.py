"""Maps the recordings of NYU Depth v2's Kinect to depth in the pixels of its photos.

The calibration is the data set's own: `camera_params.m` of its toolbox (Silberman,
Hoiem, Kohli and Fergus, ECCV 2012; cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html). The
steps are those of its `project_depth_map.m`, with one exception. To remove the lens
distortion, the toolbox resamples the disparities, which mixes near with far at edges.
This module undistorts the ray of each pixel instead.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 480, 640
MAX_DEPTH = 10.0
# The toolbox, and so the labelled set, treats smaller disparities as unknown; the nearest
# depth of the labelled set is 0.713 m.
_MIN_DISPARITY = 600
_DEPTH_SCALE, _DEPTH_OFFSET = 351.3, 1092.5

PHOTO_CAMERA = np.array(
    [
        [518.85790117450188, 0.0, 325.58244941119034],
        [0.0, 519.46961112127485, 253.73616633400465],
        [0.0, 0.0, 1.0],
    ]
)
# k1, k2, p1, p2, k3, in OpenCV's order.
PHOTO_DISTORTION = np.array(
    [
        0.20796615318809061,
        -0.58613825163911781,
        0.00072231363135888329,
        0.0010479627195765181,
        0.49856986684705107,
    ]
)
DEPTH_CAMERA = np.array(
    [
        [582.62448167737955, 0.0, 313.04475870804731],
        [0.0, 582.69103270988637, 238.44389626620386],
        [0.0, 0.0, 1.0],
    ]
)
DEPTH_DISTORTION = np.array(
    [
        -0.099897236553084481,
        0.39065324602765344,
        0.0019290592870229277,
        -0.0019422022475975055,
        -0.51031725053400578,
    ]
)
# A point in the depth camera's frame is at ROTATION @ point - OFFSET in the photo
# camera's frame. (The toolbox has the opposite sign in both, and cancels it later.)
ROTATION = np.array(
    [
        [0.99997798940829263, 0.0050518419386157446, 0.0043011152014118693],
        [-0.0050359919480810989, 0.99998051861143999, -0.0036879781309514218],
        [-0.0043196624923060242, 0.0036662365748484798, 0.99998394948385538],
    ]
).T
OFFSET = np.array(
    [0.025031875059141302, -0.00029342312935846411, 0.00066238747008330102]
)


def disparity_to_metres(disparity: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Converts the sensor's disparities to depth.

    Args:
      disparity: uint16 [H, W], in native byte order.

    Returns:
      float32 [H, W], metres, at most 10; 0 where the depth is unknown.
    """
    known = (disparity >= _MIN_DISPARITY) & (disparity < _DEPTH_OFFSET)
    safe = np.where(known, disparity, 0).astype(np.float32)
    depth = np.minimum(_DEPTH_SCALE / (_DEPTH_OFFSET - safe), MAX_DEPTH)
    return np.where(known, depth, 0).astype(np.float32)


def undistort_photo(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Removes the lens distortion from a photo.

    Args:
      photo: uint8 [480, 640, 3].

    Returns:
      uint8 [480, 640, 3]; pixels that the sensor did not see are white, as in the
      labelled set.
    """
    return cv2.remap(
        photo, *_photo_map(), cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    )


def project_depth(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Moves a depth map into the pixels of the undistorted photo.

    Where several points fall on a pixel, the nearest point hides the others. The values
    stay those of the depth camera, as in the labelled set; the depth seen from the photo
    camera differs by less than 1%.

    Args:
      depth: float32 [480, 640], metres; 0 where the depth is unknown.

    Returns:
      float32 [480, 640], metres; 0 where the depth is unknown.
    """
    depth = depth.ravel()
    known = np.flatnonzero(depth)
    depth = depth[known]
    points = _rays()[known] * depth[:, None] - OFFSET
    x, y = (PHOTO_CAMERA[:2] @ (points / points[:, 2:]).T).round().astype(np.int32)
    inside = np.flatnonzero((x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT))
    pixels, depth = y[inside] * WIDTH + x[inside], depth[inside]
    projected = np.full(HEIGHT * WIDTH, np.inf, np.float32)
    np.minimum.at(projected, pixels, depth)
    projected[np.isinf(projected)] = 0
    return projected.reshape(HEIGHT, WIDTH)


@functools.cache
def _photo_map() -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Returns the maps for `cv2.remap` that undistort a photo."""
    return cv2.initUndistortRectifyMap(
        cameraMatrix=PHOTO_CAMERA,
        distCoeffs=PHOTO_DISTORTION,
        R=None,
        newCameraMatrix=PHOTO_CAMERA,
        size=(WIDTH, HEIGHT),
        m1type=cv2.CV_16SC2,
    )


@functools.cache
def _rays() -> npt.NDArray[np.float64]:
    """Returns the ray of each depth pixel, float64 [480 * 640, 3].

    A ray is the point at depth 1, rotated into the photo camera's frame, not yet shifted
    by OFFSET.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2).astype(np.float64)
    plane = cv2.undistortPoints(pixels, DEPTH_CAMERA, DEPTH_DISTORTION)[:, 0]
    return np.concatenate([plane, np.ones_like(plane[:, :1])], 1) @ ROTATION.T
