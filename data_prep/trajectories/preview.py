"""Draws the tracks of a video over its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.media import video_writing
from data_prep.trajectories.extraction import Trajectories

# BGR colors of tracks that move on their own, and of tracks that are camera motion.
FOREGROUND_COLOR = (40, 60, 250)
CAMERA_COLOR = (210, 190, 90)
# Fractional bits of the coordinates that OpenCV draws.
_SHIFT = 4


def draw(image: npt.NDArray[np.uint8], trajectories: Trajectories, frame: int) -> None:
    """Draws the tracks that pass through a frame, each up to its point in the frame.

    Args:
      image: uint8 [H, W, 3] BGR; it is changed.
      trajectories: the tracks of the video.
      frame: index of the image in the video.
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
    path: str,
    frames: Iterable[npt.NDArray[np.uint8]],
    trajectories: Trajectories,
    fps: float,
) -> None:
    """Writes a video with its tracks: foreground in red, camera motion in blue.

    Args:
      path: the mp4 file to write; an existing file is replaced when the new file is
        complete.
      frames: uint8 [H, W, 3] BGR each.
      trajectories: the tracks of these frames.
      fps: frames per second.

    Raises:
      UserError: the file cannot be written.
    """
    video_writing.write(path, _drawn(frames, trajectories), fps)


def _drawn(
    frames: Iterable[npt.NDArray[np.uint8]], trajectories: Trajectories
) -> Iterator[npt.NDArray[np.uint8]]:
    for index, image in enumerate(frames):
        draw(image, trajectories, index)
        yield image
