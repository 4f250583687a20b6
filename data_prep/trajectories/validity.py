"""Decides which tracks are valid, and which are camera motion.

All thresholds are those of Wang & Schmid (ICCV 2013), in pixels of the video.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STATIC_STD = 3.0**0.5
ERRATIC_STD = 50.0
JUMP_PIXELS = 20.0
JUMP_FRACTION = 0.7
CAMERA_PIXELS = 1.0

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


def is_static(points: Floats) -> Bools:
    """Whether tracks barely move: their deviation is small in both x and y.

    Args:
      points: float32 [N, L + 1, 2], pixels (x, y).

    Returns:
      bool [N].
    """
    return np.all(points.std(axis=1) < STATIC_STD, axis=1)


def is_erratic(points: Floats) -> Bools:
    """Whether tracks deviate too far in x or y, or make most of their way in a jump.

    Args:
      points: float32 [N, L + 1, 2], pixels (x, y).

    Returns:
      bool [N].
    """
    spread = np.any(points.std(axis=1) > ERRATIC_STD, axis=1)
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    longest = steps.max(axis=1)
    jumps = (longest > JUMP_PIXELS) & (longest > JUMP_FRACTION * steps.sum(axis=1))
    return spread | jumps


def is_valid(points: Floats) -> Bools:
    """Whether tracks are neither static nor erratic.

    Args:
      points: float32 [N, L + 1, 2], pixels (x, y).

    Returns:
      bool [N].
    """
    return ~is_static(points) & ~is_erratic(points)


def is_camera_motion(steps: Floats) -> Bools:
    """Whether tracks stand still once the camera motion is removed.

    Args:
      steps: float32 [N, L, 2], stabilised displacements in pixels.

    Returns:
      bool [N]: true if no step is as long as a pixel.
    """
    return np.linalg.norm(steps, axis=2).max(axis=1) < CAMERA_PIXELS
