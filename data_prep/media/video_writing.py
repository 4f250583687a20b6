"""Writes video files: MPEG-4 in MP4, as every player shows it."""

import collections.abc
import fractions
import os

import av
import numpy as np

from selfsup.common import files
from selfsup.common.errors import UserError

# Of MPEG-4's 1 (good) to 31. About what OpenCV's writer takes: as large a file, and as
# far from the original.
_QUANTISER = "3"
# The largest denominator of a time that MPEG-4 has.
_LARGEST = 65535


def write(path: str, frames: collections.abc.Iterable, fps: float) -> None:
    """Writes a video, whole or not at all.

    Args:
      path: an MP4 file, replaced when complete.
      frames: iterable of uint8 [H, W, 3] BGR, all of one size, at least one.
      fps: frames a second.

    Raises:
      UserError: it cannot be written.
    """
    temporary = files.temporary_name(path)
    try:
        # FFmpeg is given the open file and no name: not all names are UTF-8.
        with open(temporary, "xb") as file:
            _encode(file, frames, fps)
        files.publish(temporary, path)
    except (OSError, av.error.FFmpegError) as error:
        why = error.strerror or error
        raise UserError(f"{path}: cannot be written: {why}") from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _encode(file, frames, fps):
    rate = fractions.Fraction(fps).limit_denominator(max(1, int(_LARGEST / fps)))
    with av.open(_Nameless(file), "w", format="mp4") as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream("mpeg4", rate=rate)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
                stream.options = {"qmin": _QUANTISER, "qmax": _QUANTISER}
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class _Nameless:
    """An open file without the `name` that PyAV would pass on to FFmpeg."""

    def __init__(self, file):
        self.write, self.seek, self.tell = file.write, file.seek, file.tell
