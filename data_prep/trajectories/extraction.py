"""Improved Dense Trajectories of a whole video."""

import dataclasses
import io

import cv2
import numpy as np

from data_prep.trajectories import motion, tracking, validity
from selfsup.common import files


@dataclasses.dataclass(frozen=True)
class Trajectories:
    """Tracks of L steps that are neither static nor erratic nor jumping.

    Attributes:
      points: float32 [N, L + 1, 2], pixels (x, y), one for each frame.
      end_frame: int32 [N], index of the frame that the last point is in.
      scale: float32 [N], how much the frame was shrunk where it was tracked.
      camera_motion: bool [N], no step is a pixel long once the camera's motion is
        undone.
    """

    points: np.ndarray
    end_frame: np.ndarray
    scale: np.ndarray
    camera_motion: np.ndarray


def extract(frames, length=15, mask_people=False):
    """Tracks dense points through a video.

    Args:
      frames: iterable of uint8 [H, W, 3] BGR.
      length: steps a track, L.
      mask_people: keeps people out of the camera's estimate.

    Returns:
      `Trajectories`, by end frame; empty for fewer than L + 1 frames.
    """
    measure = motion.MotionMeter(mask_people)
    tracker = None
    parts = []
    for index, image in enumerate(frames):
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        step = measure(gray)
        if tracker is None:
            tracker = tracking.DenseTracker(gray.shape, length)
        else:
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


def save(trajectories, path):
    """Writes the arrays of `Trajectories` to a compressed .npz, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **vars(trajectories))
    files.write_atomically(path, buffer.getvalue())
