"""Measures the motion between frames, with and without the camera motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from data_prep.trajectories import camera, people
from data_prep.trajectories import flow as flow_lib
from data_prep.trajectories.flow import Flow, Gray


@dataclasses.dataclass(frozen=True)
class PairMotion:
    """The motion from one frame to the next.

    Attributes:
      flows: float32 [H / s, W / s, 2] for each scale s of `flow.spatial_scales`, in pixels
        of the full-size frame.
      stabilised: the same, without the camera motion.
      camera: the homography of the camera motion, float64 [3, 3]; None if it is unknown.
        In that case `stabilised` is `flows`.
    """

    flows: list[Flow]
    stabilised: list[Flow]
    camera: npt.NDArray[np.float64] | None


def measure_pair(
    first: Gray, second: Gray, exclude: camera.PixelMasks | None = None
) -> PairMotion:
    """Measures the motion between two gray frames.

    Args:
      first, second: uint8 [H, W].
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
    """Measures the motion between consecutive frames of a video."""

    def __init__(self, mask_people: bool = False) -> None:
        """Creates a meter without a previous frame.

        Args:
          mask_people: whether people are excluded from the camera estimate.
        """
        self._detect = people.PeopleDetector() if mask_people else None
        self.reset()

    def reset(self) -> None:
        """Forgets the previous frame, because the next frame does not follow it."""
        self._gray: Gray | None = None
        self._people: npt.NDArray[np.bool_] | None = None

    def __call__(self, gray: Gray) -> PairMotion | None:
        """Returns the motion from the previous frame; None for the first frame.

        Args:
          gray: uint8 [H, W].
        """
        detected = self._detect(gray) if self._detect else None
        motion = None
        if self._gray is not None:
            exclude = None
            if self._people is not None and detected is not None:
                exclude = (self._people, detected)
            motion = measure_pair(self._gray, gray, exclude)
        self._gray, self._people = gray, detected
        return motion
