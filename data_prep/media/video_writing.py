"""Writes video files as MPEG-4 in MP4, which every player can show."""

from __future__ import annotations

import fractions
import os
from collections.abc import Iterable
from typing import BinaryIO

import av
import numpy as np
import numpy.typing as npt

from selfsup.common import files
from selfsup.common.errors import UserError, error_reason

# From 1 (best) to 31 (MPEG-4). Files are about as large, and as close to the original, as
# those of OpenCV's writer.
_QUANTIZER = "3"
# Largest denominator of MPEG-4's time stamps.
_MAX_DENOMINATOR = 65535


def write(path: str, frames: Iterable[npt.NDArray[np.uint8]], fps: float) -> None:
    """Writes a video, completely or not at all.

    Args:
      path: an MP4 file, replaced when the video is complete.
      frames: at least one image, uint8 [H, W, 3] BGR, all of the same size.
      fps: frames per second.

    Raises:
      UserError: the file cannot be written.
    """
    temporary = files.temporary_name(path)
    try:
        # FFmpeg gets the open file without its name: not all names are UTF-8.
        with open(temporary, "xb") as file:
            _encode(file, frames, fps)
        files.publish(temporary, path)
    except (OSError, av.error.FFmpegError) as error:
        reason = error_reason(error)
        raise UserError(f"{path}: cannot be written: {reason}") from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _encode(
    file: BinaryIO, frames: Iterable[npt.NDArray[np.uint8]], fps: float
) -> None:
    rate = fractions.Fraction(fps).limit_denominator(
        max(1, int(_MAX_DENOMINATOR / fps))
    )
    with av.open(_Nameless(file), "w", format="mp4") as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream("mpeg4", rate=rate)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
                stream.options = {"qmin": _QUANTIZER, "qmax": _QUANTIZER}
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "bgr24")
            container.mux(stream.encode(frame))
        assert stream is not None  # There is at least one image.
        container.mux(stream.encode(None))


class _Nameless:
    """An open file without the `name` that PyAV would pass on to FFmpeg."""

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.seek, self.tell = file.write, file.seek, file.tell
