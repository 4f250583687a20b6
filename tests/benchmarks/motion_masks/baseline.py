"""The simple way to find what moves, to compare Improved Dense Trajectories with."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import camera, flow
from tests.data_prep.trajectories import scenes


def mask(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Marks cells that do not move with the camera.

    A cell is foreground if on half of its pixels the flow differs by over a pixel from
    the camera's homography.

    Args:
      first, second: uint8 [H, W, 3] BGR frames.

    Returns:
      uint8 [H / 8, W / 8] of 0 and 1.
    """
    first, second = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY) for x in (first, second))
    dense = flow.dense_flow(first, second)
    matrix = camera.homography(first, second, dense)
    if matrix is None:
        matrix = np.eye(3)
    height, width = first.shape
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    pixels = pixels.reshape(-1, 1, 2).astype(np.float64)
    moved = cv2.perspectiveTransform(pixels, matrix) - pixels
    residual = dense - moved.reshape(height, width, 2)
    return scenes.cell_truth(np.linalg.norm(residual, axis=2) > 1.0).astype(np.uint8)
