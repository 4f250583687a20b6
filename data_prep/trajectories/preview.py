"""Draws tracks over their video."""

import collections.abc

import cv2
import numpy as np

from data_prep.media import video_writing

# BGR: what moves on its own, and what only the camera moves.
FOREGROUND_COLOR = (40, 60, 250)
CAMERA_COLOR = (210, 190, 90)
# Sub-pixel bits of OpenCV's drawing.
_SHIFT = 4


def draw(image, trajectories, frame):
    """Draws the tracks that pass through a frame, up to where they are in it.

    Args:
      image: uint8 [H, W, 3] BGR, drawn into.
      trajectories: `Trajectories`.
      frame: the image's index.
    """
    length = trajectories.points.shape[1] - 1
    past = length - (trajectories.end_frame - frame)
    for color, chosen in (
        (CAMERA_COLOR, trajectories.camera_motion),
        (FOREGROUND_COLOR, ~trajectories.camera_motion),
    ):
        for track in np.flatnonzero(chosen & (past >= 0) & (past <= length)):
            trail = trajectories.points[track, : past[track] + 1]
            trail = np.rint(trail * 2**_SHIFT).astype(np.int32)
            cv2.polylines(image, [trail], False, color, 1, cv2.LINE_AA, _SHIFT)
            cv2.circle(image, trail[-1].tolist(), 16, color, -1, cv2.LINE_AA, _SHIFT)


def write(
    path: str, frames: collections.abc.Iterable, trajectories, fps: float
) -> None:
    """Writes the video with its tracks drawn: red foreground, blue camera motion.

    Args:
      path: an mp4 file, replaced when complete.
      frames: iterable of uint8 [H, W, 3] BGR.
      trajectories: `Trajectories` of these frames.
      fps: frames a second.

    Raises:
      UserError: when it cannot be written.
    """
    video_writing.write(path, _drawn(frames, trajectories), fps)


def _drawn(frames, trajectories):
    for index, image in enumerate(frames):
        draw(image, trajectories, index)
        yield image
