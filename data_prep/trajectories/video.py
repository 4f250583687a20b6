"""Frames of video files of any container, through OpenCV's FFmpeg."""

import dataclasses
import os

import cv2

from data_prep.trajectories import containers
from selfsup.errors import UserError

# OpenCV and FFmpeg write their complaints about broken files past Python's stderr;
# what matters of them is said by the errors below.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.setLogLevel(1)  # Fatal ones only.

# A file is truncated when it ends before this share of the frames it promises.
_COMPLETE = 0.9
# Above this, the rate is a container's time base and the promised count is not one.
_MAX_FPS = 240.0


@dataclasses.dataclass(frozen=True)
class Info:
    """What a video holds.

    Attributes:
      frames: number of frames that can be decoded.
      promised: number that the container promises, 0 where it does not say.
      fps: frames a second.
      height, width: pixels, upright.
    """

    frames: int
    promised: int
    fps: float
    height: int
    width: int

    @property
    def is_truncated(self):
        return self.frames < _COMPLETE * self.promised


def probe(path):
    """Reads through a video without converting its frames.

    Raises:
      UserError: when it is no file or holds no frame that can be decoded.
    """
    capture = _open(path)
    frames = 0
    while capture.grab():
        frames += 1
    fps = capture.get(cv2.CAP_PROP_FPS)
    promised = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    info = Info(
        frames=frames,
        promised=promised if 0 < fps <= _MAX_FPS else 0,
        fps=fps if 0 < fps <= _MAX_FPS else 25.0,
        height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
    )
    capture.release()
    if not frames:
        raise UserError(f"{path}: holds no frame that can be decoded")
    return info


def frames(path, wanted=None, size=None):
    """Reads frames of a video.

    Args:
      path: the file.
      wanted: set of frame indices to read; all when None.
      size: (H, W) to resize to, aspect ratio aside; None keeps the video's.

    Yields:
      (index, uint8 [H, W, 3] BGR), in order.

    Raises:
      UserError: when it cannot be opened as a video.
    """
    capture = _open(path)
    last = None if wanted is None else max(wanted, default=-1)
    index = 0
    while (last is None or index <= last) and capture.grab():
        if wanted is None or index in wanted:
            read, image = capture.retrieve()
            if not read:
                break
            yield index, _resized(image, size)
        index += 1
    capture.release()


def _open(path):
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file; expected a video")
    try:
        is_video = containers.is_video(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not is_video:
        raise UserError(f"{path}: begins like no video of a known container")
    # Only this back end: others take a name with a % in it for a series of images.
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise UserError(f"{path}: cannot be opened as a video")
    return capture


def _resized(image, size):
    if size is None or image.shape[:2] == tuple(size):
        return image
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=method)
