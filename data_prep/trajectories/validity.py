"""Which tracks count, and which of those are the camera's motion.

All thresholds are Wang & Schmid's, in pixels of the video.
"""

import numpy as np

STATIC_STD = 3.0**0.5
ERRATIC_STD = 50.0
JUMP_PIXELS = 20.0
JUMP_FRACTION = 0.7
CAMERA_PIXELS = 1.0


def is_static(points):
    """bool [N]: spreads too little along both axes.

    Args:
      points: float32 [N, L + 1, 2].
    """
    return np.all(points.std(axis=1) < STATIC_STD, axis=1)


def is_erratic(points):
    """bool [N]: spreads too much along an axis, or makes its way in one jump.

    Args:
      points: float32 [N, L + 1, 2].
    """
    spread = np.any(points.std(axis=1) > ERRATIC_STD, axis=1)
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    longest = steps.max(axis=1)
    jumps = (longest > JUMP_PIXELS) & (longest > JUMP_FRACTION * steps.sum(axis=1))
    return spread | jumps


def is_valid(points):
    """bool [N]: neither static nor erratic nor jumping."""
    return ~is_static(points) & ~is_erratic(points)


def is_camera_motion(steps):
    """bool [N]: once the camera's motion is undone, no step is a pixel long.

    Args:
      steps: float32 [N, L, 2], stabilised displacements.
    """
    return np.linalg.norm(steps, axis=2).max(axis=1) < CAMERA_PIXELS
