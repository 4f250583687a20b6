"""Motion between two frames, as it is seen and with the camera's part undone."""

import dataclasses
from typing import Optional

import numpy as np

from data_prep.trajectories import camera, people
from data_prep.trajectories import flow as flow_lib


@dataclasses.dataclass(frozen=True)
class PairMotion:
    """Motion from one frame to the next.

    Attributes:
      flows: a float32 [H / s, W / s, 2] for each scale s of `flow.spatial_scales`, in
        pixels of the full-size frame.
      stabilised: the same with the camera's motion undone.
      camera: float64 [3, 3], or None where it could not be told; then `stabilised`
        is `flows`.
    """

    flows: list
    stabilised: list
    camera: Optional[np.ndarray]


def measure_pair(first, second, exclude=None):
    """Measures the `PairMotion` between two gray frames, uint8 [H, W].

    Args:
      first, second: the frames.
      exclude: see `camera.homography`.
    """
    scales = flow_lib.spatial_scales(*first.shape)
    flow = flow_lib.dense_flow(first, second)
    flows = flow_lib.flow_pyramid(flow, scales)
    matrix = camera.homography(first, second, flows[0], exclude)
    if matrix is None:
        return PairMotion(flows, flows, None)
    stabilised = flow_lib.dense_flow(first, camera.stabilise(first, second, matrix))
    return PairMotion(flows, flow_lib.flow_pyramid(stabilised, scales), matrix)


class MotionMeter:
    """Measures motion from frame to frame of a video."""

    def __init__(self, mask_people=False):
        self._detect = people.PeopleDetector() if mask_people else None
        self._gray = self._people = None

    def __call__(self, gray):
        """Returns the `PairMotion` from the last frame to this; None for the first.

        Args:
          gray: uint8 [H, W].
        """
        found = self._detect(gray) if self._detect else None
        motion = None
        if self._gray is not None:
            exclude = (self._people, found) if self._detect else None
            motion = measure_pair(self._gray, gray, exclude)
        self._gray, self._people = gray, found
        return motion

    def reset(self):
        """Forgets the last frame: the next one does not follow it."""
        self._gray = self._people = None
