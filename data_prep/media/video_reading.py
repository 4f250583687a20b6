"""Reads frames and time stamps of video files, by PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import errno
import fractions
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import av
import av.logging
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from selfsup.common.errors import UserError, error_reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame

# FFmpeg's demuxers for files that hold a video. Other demuxers (HLS, DASH, ffconcat, SDP)
# would open the files and addresses that a file names.
_FORMATS = (
    "mov", "matroska", "webm", "avi", "flv", "asf", "ogg", "gif", "yuv4mpegpipe",
    "mpeg", "mpegts", "mpegvideo", "h264", "hevc", "m4v", "mjpeg",
)  # fmt: skip
# No protocol has the name "none", so FFmpeg opens nothing but the file it is given.
# These are options of the container only: PyAV crashes on streams that are discovered
# late if options are given for the streams too (PyAV issue 2010).
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
# A file is truncated if its frames end before this share of its declared duration.
_COMPLETE = 0.9
# Formats whose header declares the duration.
_DECLARING = frozenset(("mov", "matroska", "flv"))
# For streams that declare no frame rate.
_DEFAULT_FPS = 25


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video holds.

    Attributes:
      times: float64 [frames], seconds at which a player shows each frame; ascending
        from 0.
      seconds: from the first frame to the end of the last.
      height, width: size in pixels, as a player shows it.
      truncated: what shows that the file was cut off, for the user; "" if it is whole.
    """

    times: npt.NDArray[np.float64]
    seconds: float
    height: int
    width: int
    truncated: str = ""

    @property
    def frames(self) -> int:
        """Number of frames that can be decoded and that a player shows."""
        return len(self.times)

    @property
    def fps(self) -> float:
        """Frames per second, on average."""
        return self.frames / self.seconds


def probe(path: str) -> VideoInfo:
    """Decodes a whole video, to learn its time stamps, size and completeness.

    Raises:
      UserError: the file is missing, is no video, or has no frame that can be decoded.
    """
    with _opened(path) as (container, stream):
        clock = _Clock(stream)
        ends = _Ends(container, stream)
        first = None
        for frame in _decoded(_packets(container, ends), stream):
            clock.add(frame)
            first = first or frame
        if first is None:
            raise UserError(f"{path}: has no frame that can be decoded")
        stored = np.empty([first.height, first.width], np.uint8)
        height, width = _shown(stored, first).shape
        return VideoInfo(
            times=clock.times(),
            seconds=clock.seconds,
            height=height,
            width=width,
            truncated=ends.missing(clock.last),
        )


def read_frames(
    path: str,
    wanted: collections.abc.Set[int] | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Reads frames of a video as a player shows them: rotated, mirrored and trimmed.

    Args:
      path: the file.
      wanted: indices of the frames to read; None for all.
      size: (H, W) to resize to, without regard to the aspect ratio; None takes the size
        of the first frame.

    Yields:
      (index, uint8 [H, W, 3] BGR), in order of display. Indices are those of
      `VideoInfo.times`.

    Raises:
      UserError: the file is missing or is no video.
    """
    last = None if wanted is None else max(wanted, default=-1)
    with _opened(path) as (container, stream):
        for index, frame in enumerate(_decoded(container.demux(stream), stream)):
            if last is not None and index > last:
                break
            if wanted is None or index in wanted:
                image = _shown(_pixels(frame), frame)
                size = size or (image.shape[0], image.shape[1])
                yield index, _resized(image, size)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a file; yields its container and a video stream that can be decoded."""
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file; expected a video")
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
    with file, _container(path, _Nameless(file)) as container:
        stream = container.streams.best("video")
        if (
            not isinstance(stream, VideoStream)
            or stream.disposition & av.stream.Disposition.attached_pic
        ):
            raise UserError(f"{path}: has no video stream (only audio or cover art)")
        if stream.codec_context is None:
            raise UserError(
                f"{path}: has the codec {_codec(container)}, which FFmpeg "
                f"{av.ffmpeg_version_info}, installed with PyAV, cannot decode; convert "
                "it, for example to H.264"
            )
        # Each worker would start a thread for each CPU; and with threads, the frames
        # decoded from a damaged file vary.
        stream.codec_context.thread_count = 1
        yield container, stream


def _container(path: str, file: _Nameless) -> InputContainer:
    """Opens a file as a container."""
    with _log(av.logging.ERROR) as log:
        try:
            # Titles and other metadata are often not in UTF-8; they are not needed.
            return av.open(
                file, "r", container_options=_OPTIONS, metadata_errors="replace"
            )
        except av.error.FFmpegError as error:
            if error.errno == errno.EINVAL:
                reason = "its format is none of " + ", ".join(_FORMATS)
            else:
                reason = log[-1][2].strip() if log else str(error.strerror)
            raise UserError(f"{path}: cannot be opened as a video: {reason}") from error


@contextlib.contextmanager
def _log(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """Collects FFmpeg's messages as (level, part, text) instead of printing them."""
    av.logging.set_level(level)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(None)


class _Nameless:
    """An open file without a name, for FFmpeg to read.

    Not all names are UTF-8, and FFmpeg takes some for patterns or addresses.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Returns the new position; -1 for impossible ones, as damaged files name."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def _codec(container: InputContainer) -> str:
    """FFmpeg's name and the container's code of the frames' codec."""
    with _log(av.logging.INFO):
        text = container.dumps_format()  # type: ignore[attr-defined]  # Not in the stubs.
    match = re.search(r"Video: ([^,\n]+)", text)
    return match[1].replace("none", "unknown") if match else "unknown"


def _packets(container: InputContainer, ends: _Ends) -> Iterator[Packet]:
    """Yields the packets of a file, up to its end or to unreadable data."""
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux():
            ends.add(packet)
            yield packet


def _decoded(packets: Iterable[Packet], stream: VideoStream) -> Iterator[VideoFrame]:
    """Yields the frames of a stream; skips packets that cannot be decoded."""
    with contextlib.suppress(av.error.FFmpegError):
        for packet in packets:
            # The last, empty packet of a stream has no stream index, but its stream has.
            if packet.stream.index == stream.index:
                with contextlib.suppress(av.error.FFmpegError):
                    yield from stream.decode(packet)


def _pixels(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """Converts a frame as it is stored to BGR, uint8 [H, W, 3]."""
    if not frame.format.is_rgb:
        # By default, PyAV would convert every frame by the matrix of BT.601.
        full, limited = ColorRange.JPEG, ColorRange.MPEG
        is_full = frame.color_range == full or frame.format.name.startswith("yuvj")
        frame = frame.reformat(
            format="bgr24",
            src_colorspace=frame.colorspace,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=full if is_full else limited,
            dst_color_range=full,
        )
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _shown(image: npt.NDArray[np.uint8], frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """Rotates and mirrors an image [H, W, ...] by the frame's display matrix.

    The matrix (libavutil/display.h) has nine numbers a b u, c d v, x y w. A player shows
    a stored pixel (p, q) at (a p + c q + x, b p + d q + y). This function applies the
    quarter turn and the reflections.
    """
    try:
        # PyAV's stubs know of motion vectors only.
        matrix = bytes(frame.side_data["DISPLAYMATRIX"])  # type: ignore[typeddict-item]
    except KeyError:
        return image
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.swapaxes(0, 1)
        a, d = c, b
    image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def _resized(
    image: npt.NDArray[np.uint8], size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Resizes [h, w, 3] to [H, W, 3], where `size` is (H, W)."""
    if image.shape[:2] == tuple(size):
        return image
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image, (size[1], size[0]), interpolation=method)
    return np.asarray(resized, np.uint8)


class _Clock:
    """The times at which a player shows the frames, in ticks of their stream."""

    def __init__(self, stream: VideoStream) -> None:
        self._base = stream.time_base or fractions.Fraction(1, av.time_base)
        rate = stream.average_rate or _DEFAULT_FPS
        self._step = max(1, round(1 / (rate * self._base)))
        self._ticks: list[int] = []
        self._last = self._step

    def add(self, frame: VideoFrame) -> None:
        """Adds the next frame; without a time stamp, it follows at the usual rate."""
        after = self._ticks[-1] + self._last if self._ticks else 0
        tick = after if frame.pts is None else frame.pts
        # Time stamps may jump back where streams were joined, or by damage.
        if self._ticks and tick <= self._ticks[-1]:
            tick = after
        self._ticks.append(tick)
        self._last = max(frame.duration, 0) or self._step

    def times(self) -> npt.NDArray[np.float64]:
        """float64 [frames]: seconds from the first frame."""
        ticks = np.array(self._ticks, np.float64) - self._ticks[0]
        return ticks * self._base.numerator / self._base.denominator

    @property
    def seconds(self) -> float:
        """Seconds from the first frame to the end of the last."""
        ticks = self._ticks[-1] + self._last - self._ticks[0]
        return ticks * self._base.numerator / self._base.denominator

    @property
    def last(self) -> float:
        """Time stamp of the last frame, in seconds."""
        return float(self._ticks[-1] * self._base)


class _Ends:
    """Compares where the data of a file end with where they should end."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._index = stream.index
        rate = stream.average_rate or _DEFAULT_FPS
        self._step = 1 / float(rate)
        self._last = self._end = 0.0
        self._declared = _declared_seconds(container, stream)

    def add(self, packet: Packet) -> None:
        """Adds the next packet, of any stream."""
        if packet.pts is None or packet.is_discard:
            return
        begin = float(packet.pts * packet.time_base)
        length = float((packet.duration or 0) * packet.time_base)
        if packet.stream.index == self._index:
            self._last = max(self._last, begin)
            length = length or self._step
        self._end = max(self._end, begin + length)

    def missing(self, decoded: float) -> str:
        """Says what shows that frames are missing; "" if none are.

        Args:
          decoded: time stamp of the last frame that could be decoded, in seconds.
        """
        if decoded < _COMPLETE * self._last:
            return (
                f"frames after {decoded:.2f} s cannot be decoded, but data continue "
                f"to {self._last:.2f} s"
            )
        if self._end < _COMPLETE * self._declared:
            return (
                f"all data end at {self._end:.2f} s of the {self._declared:.2f} s that "
                "the header declares"
            )
        return ""


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Duration that the header declares; 0 if it declares none.

    The duration is that of the longest stream, frames that are not shown included: a
    file was cut off only if none of its streams reaches that end. For formats not in
    `_DECLARING`, FFmpeg estimates the duration from the existing data.
    """
    names = container.format.name.split(",")
    if "avi" in names:
        # From the declared number of frames, as FFmpeg corrects the duration by the data.
        return (
            float(stream.frames / stream.average_rate) if stream.average_rate else 0.0
        )
    if not container.duration or not _DECLARING.intersection(names):
        return 0.0
    ends = [
        ((each.start_time or 0) + each.duration) * each.time_base
        for each in container.streams
        if each.duration and each.time_base
    ]
    whole = container.duration / av.time_base
    # The duration of an edited movie may be wrong, but that of its tracks is not.
    return min(whole, float(max(ends))) if ends else whole
