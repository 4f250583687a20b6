"""Extracts the Improved Dense Trajectories of a whole video."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import motion, tracking, validity
from selfsup.common import files


@dataclasses.dataclass(frozen=True)
class Trajectories:
    """The valid tracks of a video, with L steps each.

    Attributes:
      points: float32 [N, L + 1, 2], pixels (x, y), one per frame.
      end_frame: int32 [N], index of the frame with a track's last point.
      scale: float32 [N], factor by which the frame was shrunk for tracking.
      camera_motion: bool [N], true if a track stands still once the camera motion is
        removed.
    """

    points: npt.NDArray[np.float32]
    end_frame: npt.NDArray[np.int32]
    scale: npt.NDArray[np.float32]
    camera_motion: npt.NDArray[np.bool_]


def extract(
    frames: Iterable[npt.NDArray[np.uint8]], length: int = 15, mask_people: bool = False
) -> Trajectories:
    """Tracks dense points through a video.

    Args:
      frames: uint8 [H, W, 3] BGR each.
      length: number of steps of a track, L.
      mask_people: whether people are excluded from the camera estimate.

    Returns:
      `Trajectories`, ordered by end frame; empty for fewer than L + 1 frames.
    """
    measure = motion.MotionMeter(mask_people)
    tracker = None
    parts = []
    for index, image in enumerate(frames):
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        step = measure(gray)
        if tracker is None:
            tracker = tracking.DenseTracker(gray.shape, length)
        elif step is not None:
            tracks = tracker.advance(step, index)
            parts.append(tracks[validity.is_valid(tracks.points)])
        tracker.sample(gray)
    tracks = tracking.Tracks.concatenate(parts, length)
    return Trajectories(
        points=tracks.points,
        end_frame=tracks.end_frame,
        scale=tracks.scale,
        camera_motion=validity.is_camera_motion(tracks.steps),
    )


def save(trajectories: Trajectories, path: str) -> None:
    """Writes the arrays of `Trajectories` to a compressed .npz file, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **vars(trajectories))
    files.write_atomically(path, buffer.getvalue())
