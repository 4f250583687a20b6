"""Dense optical flow and the spatial scales on which points are tracked."""

import cv2
import numpy as np

MAX_SCALES = 8
SCALE_STEP = 2.0**0.5
# The smallest scale still has this many pixels on its shorter side.
MIN_SIDE = 32


def spatial_scales(height, width):
    """Factors by which an image of this size is shrunk: 1, sqrt(2), 2, ...

    At most `MAX_SCALES`; fewer where the shorter side would get too small (6 at
    240x320).
    """
    factors = [SCALE_STEP**level for level in range(MAX_SCALES)]
    fitting = [s for s in factors if round(min(height, width) / s) >= MIN_SIDE]
    return fitting or [1.0]


def scaled_size(shape, scale):
    """(height, width) of an image of `shape` shrunk by `scale`."""
    return tuple(max(1, round(side / scale)) for side in shape[:2])


def shrink(image, scale):
    """`image` [H, W, ...] shrunk by `scale` by averaging over areas."""
    if scale == 1.0:
        return image
    height, width = scaled_size(image.shape, scale)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def dense_flow(first, second):
    """Farneback's flow with the settings that Wang & Schmid use.

    Args:
      first, second: uint8 [H, W] gray frames.

    Returns:
      float32 [H, W, 2], pixels (x, y): where each pixel of `first` is in `second`,
      relative to itself.
    """
    return cv2.calcOpticalFlowFarneback(
        first,
        second,
        None,
        pyr_scale=1.0 / SCALE_STEP,
        levels=len(spatial_scales(*first.shape)) - 1,
        winsize=10,
        iterations=2,
        poly_n=7,
        poly_sigma=1.5,
        flags=0,
    )


def flow_pyramid(flow, scales):
    """Median-filtered flow at each scale, in pixels of the full-size image.

    Args:
      flow: float32 [H, W, 2].
      scales: as from `spatial_scales`.

    Returns:
      list of float32 [H / s, W / s, 2].
    """
    return [cv2.medianBlur(shrink(flow, scale), 3) for scale in scales]


def flow_at(flow, points, scale):
    """Looks a scale's flow up at the cells that hold the points.

    Args:
      flow: float32 [h, w, 2], one level of `flow_pyramid`.
      points: float32 [n, 2], (x, y) in pixels of the full-size image.
      scale: the level's factor.

    Returns:
      float32 [n, 2].
    """
    columns, rows = cells(points, scale, flow.shape)
    return flow[rows, columns]


def cells(points, scale, shape):
    """Nearest pixel (columns, rows) of the scaled image; clipped to its `shape`."""
    scaled = np.rint((points + 0.5) / scale - 0.5).astype(np.int64)
    columns = np.clip(scaled[:, 0], 0, shape[1] - 1)
    rows = np.clip(scaled[:, 1], 0, shape[0] - 1)
    return columns, rows
