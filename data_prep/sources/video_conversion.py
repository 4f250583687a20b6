"""Converts a video to records of frames with motion masks (paper, section 3.4)."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.build.inputs import Input
from data_prep.build.shards import Converted, SetAside
from data_prep.media import video_reading
from data_prep.sources.image_encoding import encode_image
from data_prep.trajectories import masks
from selfsup.common.errors import UserError
from selfsup.data import records

HEIGHT, WIDTH = 240, 320
# The longest display time, in seconds, that a frame can have when samples are spread
# over time.
_LONGEST = 1.0
# The last frames that were read, and their indices.
_Recent = collections.deque[tuple[int, npt.NDArray[np.uint8]]]
# The outcomes of sampled frames, and the names under which the manifest counts them.
USED = "frames used"
TOO_LITTLE = "frames left out, too little foreground"
TOO_MUCH = "frames left out, too much foreground"
NO_CAMERA = "frames left out, camera unknown"


@dataclasses.dataclass(frozen=True)
class VideoConverter:
    """Converts a video to records; a `shards.Converter`.

    Attributes:
      directory: the input folder.
      frames_per_video: number of frames sampled from a video; 0 takes all.
      track_length: number of frames over which points are tracked.
      mask_people: whether people are excluded from the estimate of the camera motion.
      min_foreground, max_foreground: bounds of the share of foreground cells; frames
        whose mask is outside the bounds are left out.
      min_frames, min_seconds: shorter videos are set aside.
      jpeg_quality: 1 to 100.
      frame_gap: number of frames after which a second frame is taken for each record; 0
        for none, at most `track_length`. So both frames are in the same shot: a frame
        has a mask only if the camera's motion is known up to the end of its tracks.
    """

    directory: str
    frames_per_video: int = 16
    track_length: int = 10
    mask_people: bool = False
    min_foreground: float = 0.0
    max_foreground: float = 0.6
    min_frames: int = 0
    min_seconds: float = 0.0
    jpeg_quality: int = 95
    frame_gap: int = 0

    def __call__(self, item: Input) -> Converted:
        """Converts one video.

        Args:
          item: an `Input` whose key is a path relative to `directory`. Its detail is ""
            or the reason why the video cannot be used.

        Returns:
          `Converted` with the records, and the number of sampled frames per outcome.

        Raises:
          SetAside: the video cannot be used; the message is the reason.
        """
        if item.detail:
            raise SetAside(item.detail)
        # There is already one worker process per CPU.
        cv2.setNumThreads(1)
        path = os.path.join(self.directory, item.key)
        starts = sample_starts(
            self._frame_times(path), self.track_length, self.frames_per_video
        )
        span = range(self.track_length + 1)
        needed = {start + offset for start in starts for offset in span}
        frames = video_reading.read_frames(path, needed, (HEIGHT, WIDTH))
        recent: _Recent = collections.deque(maxlen=self.track_length + 1)
        labelled = masks.label_frames(
            _remembered(frames, recent),
            starts,
            self.track_length,
            self.mask_people,
        )
        counts = dict.fromkeys((USED, TOO_LITTLE, TOO_MUCH), 0)
        serialized = []
        for frame in labelled:
            outcome = self._judge(frame.mask)
            counts[outcome] += 1
            if outcome == USED:
                serialized.append(self._serialize(item.key, frame, recent))
        counts[NO_CAMERA] = len(starts) - sum(counts.values())
        if not serialized:
            raise SetAside(_why_none(counts), counts)
        return Converted(serialized, counts=counts)

    def _frame_times(self, path: str) -> npt.NDArray[np.float64]:
        """Returns the time in seconds at which each frame of a video is shown.

        Raises:
          SetAside: the video is unreadable, truncated or too short.
        """
        try:
            info = video_reading.probe(path)
        except UserError as error:
            raise SetAside(str(error).replace(f"{path}: ", "")) from error
        if info.truncated:
            raise SetAside(f"truncated: {info.truncated}")
        needed = max(self.min_frames, self.track_length + 1)
        if info.frames < needed:
            raise SetAside(f"too short: has {info.frames} frames, needs {needed}")
        if info.seconds < self.min_seconds:
            raise SetAside(
                f"too short: lasts {info.seconds:.1f} s, needs {self.min_seconds:g}"
            )
        return info.times

    def _judge(self, mask: npt.NDArray[np.uint8]) -> str:
        """Returns the outcome, one of the count names, of a frame with this mask."""
        share = (mask == masks.FOREGROUND).mean()
        if share < self.min_foreground:
            return TOO_LITTLE
        return TOO_MUCH if share > self.max_foreground else USED

    def _serialize(
        self, key: str, frame: masks.LabelledFrame, recent: _Recent
    ) -> bytes:
        quality = [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality]
        second = None
        if self.frame_gap:
            # A mask is finished with the last frame of its tracks, so that `recent` has
            # all frames from the labelled frame to this last one.
            index = frame.index + self.frame_gap
            second = (index, encode_image(".jpg", dict(recent)[index], quality))
        return records.serialize(
            key=key,
            encoded=encode_image(".jpg", frame.image, quality),
            height=HEIGHT,
            width=WIDTH,
            frame=frame.index,
            motion_mask=encode_image(".png", frame.mask),
            second_frame=second,
        )


def _remembered(
    frames: Iterator[tuple[int, npt.NDArray[np.uint8]]], recent: _Recent
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yields `frames`, and appends each to `recent` first."""
    for frame in frames:
        recent.append(frame)
        yield frame


def sample_starts(
    times: npt.NDArray[np.float64], track_length: int, count: int
) -> list[int]:
    """Samples frames evenly over the time of a video.

    Only frames that at least `track_length` frames follow can be sampled. A frame that
    is shown for longer than a second counts as one second: a still picture, or a gap
    between joined recordings, needs few samples.

    Args:
      times: float64 [frames], the time at which each frame is shown, in seconds,
        ascending.
      track_length: number of frames that must follow a sample.
      count: number of samples; 0 for all.

    Returns:
      sorted list of distinct frame indices.

    Example:
      >>> sample_starts(np.arange(110) / 25, 10, 4)
      [12, 37, 62, 87]
    """
    usable = len(times) - track_length
    if not count or count >= usable:
        return list(range(usable))
    durations = np.minimum(np.diff(times[: usable + 1]), _LONGEST)
    begin = np.concatenate([[0.0], np.cumsum(durations)])
    order = np.arange(count)
    # The factor just above 1 keeps rounding from moving a target that equals a frame's
    # start into the frame before.
    targets = (2 * order + 1) / (2 * count) * begin[-1] * (1 + 1e-9)
    starts = np.searchsorted(begin, targets, side="right") - 1
    # Make the indices distinct, and leave enough frames for the samples that follow.
    starts = np.maximum.accumulate(starts - order) + order
    return np.minimum(starts, usable - count + order).tolist()


def _why_none(counts: Mapping[str, int]) -> str:
    """Returns the reason why no frame of a video was used."""
    reasons = [
        f"{number} {outcome.rpartition(', ')[2]}"
        for outcome, number in counts.items()
        if number
    ]
    return f"none of {sum(counts.values())} frames: {', '.join(reasons)}"
