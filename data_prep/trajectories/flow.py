"""Dense optical flow, and the spatial scales at which points are tracked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

MAX_SCALES = 8
SCALE_STEP = 2.0**0.5
# The smallest scale has at least this many pixels on its shorter side.
MIN_SIDE = 32

# Gray frames, uint8 [H, W]; flow, float32 [H, W, 2] in pixels (x, y).
Gray = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
_Image = TypeVar("_Image", Gray, Flow)


def spatial_scales(height: int, width: int) -> list[float]:
    """Returns the factors by which a frame of this size is shrunk: 1, sqrt(2), 2, ...

    There are at most `MAX_SCALES` factors, and fewer if the shorter side would get too
    small (6 for 240x320).
    """
    factors = [SCALE_STEP**level for level in range(MAX_SCALES)]
    fitting = [s for s in factors if round(min(height, width) / s) >= MIN_SIDE]
    return fitting or [1.0]


def scaled_size(shape: Sequence[int], scale: float) -> tuple[int, int]:
    """Returns (height, width) of an image of shape (H, W, ...) shrunk by `scale`."""
    height, width = (max(1, round(side / scale)) for side in shape[:2])
    return height, width


def shrink(image: _Image, scale: float) -> _Image:
    """Shrinks an image, [H, W, ...], by averaging areas."""
    if scale == 1.0:
        return image
    height, width = scaled_size(image.shape, scale)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def dense_flow(first: Gray, second: Gray) -> Flow:
    """Computes Farneback's optical flow with the settings of Wang & Schmid.

    Args:
      first, second: uint8 [H, W] gray frames.

    Returns:
      float32 [H, W, 2]: the displacement (x, y), in pixels, of each pixel from `first` to
      `second`.
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


def flow_pyramid(flow: Flow, scales: Sequence[float]) -> list[Flow]:
    """Shrinks flow to each scale and applies a median filter.

    Args:
      flow: float32 [H, W, 2].
      scales: factors from `spatial_scales`.

    Returns:
      float32 [H / s, W / s, 2] for each scale s, in pixels of the full-size frame.
    """
    return [cv2.medianBlur(shrink(flow, scale), 3) for scale in scales]


def flow_at(flow: Flow, points: npt.NDArray[np.float32], scale: float) -> Flow:
    """Looks up the flow of points at the nearest pixel of a scale.

    Args:
      flow: float32 [h, w, 2], a level of `flow_pyramid`.
      points: float32 [n, 2], (x, y) in pixels of the full-size frame.
      scale: the level's factor.

    Returns:
      float32 [n, 2].
    """
    columns, rows = nearest_pixels(points, scale, flow.shape)
    return flow[rows, columns]


def nearest_pixels(
    points: npt.NDArray[np.float32], scale: float, shape: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Finds the nearest pixel of a shrunk frame for each point.

    Args:
      points: float32 [n, 2], (x, y) in pixels of the full-size frame.
      scale: factor by which the frame was shrunk.
      shape: (h, w, ...) of the shrunk frame.

    Returns:
      (columns, rows), int64 [n] each, clipped to the shrunk frame.
    """
    scaled = np.rint((points + 0.5) / scale - 0.5).astype(np.int64)
    columns = np.clip(scaled[:, 0], 0, shape[1] - 1)
    rows = np.clip(scaled[:, 1], 0, shape[0] - 1)
    return columns, rows
