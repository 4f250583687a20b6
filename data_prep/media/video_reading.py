"""Pictures and time stamps of video files, through PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import errno
import fractions
import os
import re

import av
import av.logging
import cv2
import numpy as np

from selfsup.common.errors import UserError

# FFmpeg's demuxers of files that hold a video. Others (HLS, DASH, ffconcat, SDP) would
# open the files and addresses that a file names.
_FORMATS = (
    *("mov", "matroska", "webm", "avi", "flv", "asf", "ogg", "gif", "yuv4mpegpipe"),
    *("mpeg", "mpegts", "mpegvideo", "h264", "hevc", "m4v", "mjpeg"),
)
# No protocol has that name, so FFmpeg opens nothing beside the file it is given.
# Passed as options of the container: PyAV crashes on streams that are discovered late
# where it is given options for both (PyAV issue 2010).
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
# A file is truncated when its pictures end before this share of the time they should
# last.
_COMPLETE = 0.9
# Formats whose header says how long the file lasts.
_DECLARING = frozenset(("mov", "matroska", "flv"))
# Where a stream does not say it.
_FRAMES_PER_SECOND = 25


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video holds.

    Attributes:
      times: float64 [frames], when each picture is shown, in seconds; begins at 0 and
        ascends.
      seconds: from the first picture to the end of the last.
      height, width: pixels, as shown.
      truncated: how the file shows that it was cut off, for the user; "" if it is whole.
    """

    times: np.ndarray
    seconds: float
    height: int
    width: int
    truncated: str = ""

    @property
    def frames(self) -> int:
        """Number of pictures that can be decoded and are shown."""
        return len(self.times)

    @property
    def fps(self) -> float:
        """Pictures a second, on average."""
        return self.frames / self.seconds


def probe(path: str) -> VideoInfo:
    """Decodes a whole video without converting its pictures.

    Raises:
      UserError: it is no file, no video, or has no picture that can be decoded.
    """
    with _opened(path) as (container, stream):
        clock = _Clock(stream)
        ends = _Ends(container, stream)
        first = None
        for frame in _decoded(_packets(container, ends), stream):
            clock.add(frame)
            first = first or frame
        if first is None:
            raise UserError(f"{path}: has no picture that can be decoded")
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
) -> collections.abc.Iterator[tuple[int, np.ndarray]]:
    """Reads pictures of a video as they are shown: turned, mirrored and trimmed.

    Args:
      path: the file.
      wanted: set of the pictures' indices to read; all when None.
      size: (H, W) to resize to, aspect ratio aside; None takes the first picture's.

    Yields:
      (index, uint8 [H, W, 3] BGR), in order of display. Indices are those of
      `VideoInfo.times`.

    Raises:
      UserError: it is no file or no video.
    """
    last = None if wanted is None else max(wanted, default=-1)
    with _opened(path) as (container, stream):
        for index, frame in enumerate(_decoded(container.demux(stream), stream)):
            if last is not None and index > last:
                break
            if wanted is None or index in wanted:
                image = _shown(_pixels(frame), frame)
                size = size or image.shape[:2]
                yield index, _resized(image, size)


@contextlib.contextmanager
def _opened(path):
    """Opens a file as (container, video stream that can be decoded)."""
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file; expected a video")
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    with file, _container(path, _Nameless(file)) as container:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
            raise UserError(f"{path}: has no moving picture")
        if stream.codec_context is None:
            raise UserError(
                f"{path}: its codec, {_codec(container)}, cannot be decoded by FFmpeg "
                f"{av.ffmpeg_version_info} as installed with PyAV; convert it to H.264, "
                "for example"
            )
        # Threads would be one for each CPU in each worker, and what they make of a
        # damaged file varies.
        stream.codec_context.thread_count = 1
        yield container, stream


def _container(path, file):
    """Opens a file as a container."""
    with _log(av.logging.ERROR) as log:
        try:
            # Titles and the like are often not in UTF-8, which is no fault here.
            return av.open(file, container_options=_OPTIONS, metadata_errors="replace")
        except av.error.FFmpegError as error:
            if error.errno == errno.EINVAL:
                why = "its format is none of " + ", ".join(_FORMATS)
            else:
                why = log[-1][2].strip() if log else error.strerror
            raise UserError(f"{path}: cannot be opened as a video: {why}") from error


@contextlib.contextmanager
def _log(level):
    """Collects FFmpeg's messages as (level, part, text); it is silent otherwise."""
    av.logging.set_level(level)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(None)


class _Nameless:
    """An open file as FFmpeg sees it.

    It has no name: not all names are UTF-8, and FFmpeg takes some for patterns or
    addresses.
    """

    def __init__(self, file):
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset, whence=os.SEEK_SET):
        """The new place, or -1 where there is none, as damaged files ask for."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def _codec(container):
    """FFmpeg's name and the container's code of the pictures' codec."""
    with _log(av.logging.INFO):
        found = re.search(r"Video: ([^,\n]+)", container.dumps_format())
    return found[1].replace("none", "unknown") if found else "unknown"


def _packets(container, ends):
    """All packets of a file, up to its end or to where it cannot be read further."""
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux():
            ends.add(packet)
            yield packet


def _decoded(packets, stream):
    """The pictures of a stream; packets that cannot be decoded are passed over."""
    with contextlib.suppress(av.error.FFmpegError):
        for packet in packets:
            # The last packet of a stream, which is empty, has no index of its own.
            if packet.stream.index == stream.index:
                with contextlib.suppress(av.error.FFmpegError):
                    yield from packet.decode()


def _pixels(frame):
    """uint8 [H, W, 3] BGR of a frame as it is stored."""
    if frame.format.is_rgb:
        return frame.to_ndarray(format="bgr24")
    # Said explicitly, as PyAV would convert all of them by BT.601's matrix.
    ranges = av.video.reformatter.ColorRange
    is_full = frame.color_range == ranges.JPEG or frame.format.name.startswith("yuvj")
    return frame.reformat(
        format="bgr24",
        src_colorspace=frame.colorspace,
        dst_colorspace=av.video.reformatter.Colorspace.ITU601,
        src_color_range=ranges.JPEG if is_full else ranges.MPEG,
        dst_color_range=ranges.JPEG,
    ).to_ndarray()


def _shown(image, frame):
    """Turns and mirrors [H, W, C] by the frame's display matrix.

    The matrix (libavutil/display.h) has nine numbers a b u, c d v, x y w; a stored pixel
    (p, q) is shown at (a p + c q + x, b p + d q + y). Of these, the quarter turn and the
    reflections are taken.
    """
    for data in frame.side_data:
        if data.type == av.sidedata.sidedata.Type.DISPLAYMATRIX:
            a, b, _, c, d, *_ = np.frombuffer(data, np.int32).tolist()
            break
    else:
        return image
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.swapaxes(0, 1)
        a, d = c, b
    image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def _resized(image, size):
    if image.shape[:2] == tuple(size):
        return image
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=method)


class _Clock:
    """When pictures are shown, in ticks of their stream."""

    def __init__(self, stream):
        self._base = stream.time_base or fractions.Fraction(1, av.time_base)
        rate = stream.average_rate or _FRAMES_PER_SECOND
        self._step = max(1, round(1 / (rate * self._base)))
        self._ticks = []
        self._last = self._step

    def add(self, frame):
        """Takes the next picture; what has no time stamp follows at the usual rate."""
        after = self._ticks[-1] + self._last if self._ticks else 0
        tick = after if frame.pts is None else frame.pts
        # Streams that were put together, or are damaged, jump back.
        if self._ticks and tick <= self._ticks[-1]:
            tick = after
        self._ticks.append(tick)
        self._last = max(frame.duration, 0) or self._step

    def times(self):
        """float64 [frames]: seconds from the first picture."""
        ticks = np.array(self._ticks, np.float64) - self._ticks[0]
        return ticks * self._base.numerator / self._base.denominator

    @property
    def seconds(self):
        """From the first picture to the end of the last."""
        ticks = self._ticks[-1] + self._last - self._ticks[0]
        return ticks * self._base.numerator / self._base.denominator

    @property
    def last(self):
        """The last picture's time, in seconds of the file's time stamps."""
        return float(self._ticks[-1] * self._base)


class _Ends:
    """Where the data of a file end, and where they should."""

    def __init__(self, container, stream):
        self._index = stream.index
        rate = stream.average_rate or _FRAMES_PER_SECOND
        self._step = 1 / float(rate)
        self._last = self._end = 0.0
        self._declared = _declared_seconds(container, stream)

    def add(self, packet):
        """Takes the next packet, of any stream."""
        if packet.pts is None or packet.is_discard:
            return
        begin = float(packet.pts * packet.time_base)
        length = float((packet.duration or 0) * packet.time_base)
        if packet.stream.index == self._index:
            self._last = max(self._last, begin)
            length = length or self._step
        self._end = max(self._end, begin + length)

    def missing(self, decoded):
        """How the file shows that pictures are missing, "" where none are.

        Args:
          decoded: time of the last picture that could be decoded, in seconds.
        """
        if decoded < _COMPLETE * self._last:
            return (
                f"pictures after {decoded:.2f} s cannot be decoded, of data that go on "
                f"to {self._last:.2f} s"
            )
        if self._end < _COMPLETE * self._declared:
            return (
                f"all data end at {self._end:.2f} s of the {self._declared:.2f} s that "
                "the header declares"
            )
        return ""


def _declared_seconds(container, stream):
    """How long the header says that the file lasts; 0 where it says nothing.

    Headers count what is not shown, and the longest stream: only a file of which no
    stream reaches that end was cut off. Of formats that are not named here, FFmpeg
    estimates the length from the data that are there.
    """
    names = container.format.name.split(",")
    if "avi" in names:
        # The stream's number of ticks; FFmpeg has corrected the length already.
        return (
            float(stream.frames / stream.average_rate) if stream.average_rate else 0.0
        )
    if not container.duration or not _DECLARING.intersection(names):
        return 0.0
    ends = [
        ((each.start_time or 0) + each.duration) * each.time_base
        for each in container.streams
        if each.duration
    ]
    whole = container.duration / av.time_base
    # The length of a movie that was edited may be wrong, but not its tracks'.
    return min(whole, float(max(ends))) if ends else whole
