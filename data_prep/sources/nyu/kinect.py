"""From what the Kinect of NYU Depth v2 recorded to depth in its photos' pixels.

The calibration is the data set's own: `camera_params.m` of its toolbox (Silberman,
Hoiem, Kohli and Fergus, ECCV 2012; cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html),
and the steps are those of its `project_depth_map.m`, save that it resamples the
disparities to undistort them, which mixes near with far at edges; here every pixel's
own ray is undistorted.
"""

import functools

import cv2
import numpy as np

HEIGHT, WIDTH = 480, 640
MAX_DEPTH = 10.0
# Smaller disparities count as unknown, in the toolbox and so in the labelled set,
# whose nearest depth is 0.713 m.
_MIN_DISPARITY = 600
_DEPTH_SCALE, _DEPTH_OFFSET = 351.3, 1092.5

PHOTO_CAMERA = np.array(
    [
        [518.85790117450188, 0.0, 325.58244941119034],
        [0.0, 519.46961112127485, 253.73616633400465],
        [0.0, 0.0, 1.0],
    ]
)
# k1, k2, p1, p2, k3, as OpenCV orders them.
PHOTO_DISTORTION = np.array(
    [
        *(0.20796615318809061, -0.58613825163911781),
        *(0.00072231363135888329, 0.0010479627195765181),
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
        *(-0.099897236553084481, 0.39065324602765344),
        *(0.0019290592870229277, -0.0019422022475975055),
        -0.51031725053400578,
    ]
)
# A point of the depth camera's frame is at ROTATION @ point - OFFSET in the photo
# camera's. (The toolbox has both with the other sign, and divides it out again.)
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


def disparity_to_metres(disparity):
    """What raw values mean.

    Args:
      disparity: uint16 [H, W] as the sensor gave them, bytes in the right order.

    Returns:
      float32 [H, W], at most 10 m, 0 = unknown.
    """
    known = (disparity >= _MIN_DISPARITY) & (disparity < _DEPTH_OFFSET)
    safe = np.where(known, disparity, 0).astype(np.float32)
    depth = np.minimum(_DEPTH_SCALE / (_DEPTH_OFFSET - safe), MAX_DEPTH)
    return np.where(known, depth, 0).astype(np.float32)


def undistort_photo(photo):
    """The photo as a camera without distortion takes it.

    Args:
      photo: uint8 [480, 640, 3].

    Returns:
      uint8 [480, 640, 3]; what the sensor did not see is white, as in the labelled set.
    """
    return cv2.remap(
        photo, *_photo_map(), cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    )


def project_depth(depth):
    """Moves a depth map into the pixels of the undistorted photo.

    Where several points fall on a pixel, the nearest is the one that is seen. The
    depths are the depth camera's, as in the labelled set; the photo camera's differ
    by under 1%.

    Args:
      depth: float32 [480, 640], metres, 0 = unknown.

    Returns:
      float32 [480, 640], metres, 0 = unknown.
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
def _photo_map():
    """Where in the photo every pixel of the undistorted one lies; as `cv2.remap`."""
    return cv2.initUndistortRectifyMap(
        *(PHOTO_CAMERA, PHOTO_DISTORTION, None, PHOTO_CAMERA),
        *((WIDTH, HEIGHT), cv2.CV_16SC2),
    )


@functools.cache
def _rays():
    """Points at depth 1 of all depth pixels, seen from the photo camera but for the
    offset, float64 [480 * 640, 3]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2).astype(np.float64)
    plane = cv2.undistortPoints(pixels, DEPTH_CAMERA, DEPTH_DISTORTION)[:, 0]
    return np.concatenate([plane, np.ones_like(plane[:, :1])], 1) @ ROTATION.T
