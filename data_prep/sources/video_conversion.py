"""From one video file to records of frames with motion masks (paper section 3.4)."""

import dataclasses
import os

import cv2
import numpy as np

from data_prep.build.shards import Converted, SetAside
from data_prep.media import video_reading
from data_prep.trajectories import masks
from selfsup.common.errors import UserError
from selfsup.data import records

HEIGHT, WIDTH = 240, 320
# Seconds that a picture counts for at most, where samples are spread over time.
_LONGEST = 1.0
# What becomes of a sampled frame; the names under which they are counted.
USED = "frames used"
TOO_LITTLE = "frames left out, too little foreground"
TOO_MUCH = "frames left out, too much foreground"
NO_CAMERA = "frames left out, camera unknown"


@dataclasses.dataclass(frozen=True)
class VideoConverter:
    """Converts a video, by its key; a `convert` of `writer.build`.

    Attributes:
      directory: the input folder.
      frames_per_video: frames sampled from a video; 0 takes all.
      track_length: frames that points are followed over.
      mask_people: keeps people out of the camera's estimate.
      min_foreground, max_foreground: frames are left out whose mask has a smaller or
        larger share of foreground cells.
      min_frames, min_seconds: shorter videos are set aside.
      jpeg_quality: 1 to 100.
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

    def __call__(self, item):
        """Converts a video.

        Args:
          item: `Input`; its detail says why it cannot be used, where that is known.

        Returns:
          `Converted`: its records, and counts of what became of the sampled frames.

        Raises:
          SetAside: it cannot be used.
        """
        if item.detail:
            raise SetAside(item.detail)
        # Workers are processes already, one for each CPU.
        cv2.setNumThreads(1)
        path = os.path.join(self.directory, item.key)
        starts = sample_starts(
            self._times(path), self.track_length, self.frames_per_video
        )
        span = range(self.track_length + 1)
        needed = {start + offset for start in starts for offset in span}
        labelled = masks.label_frames(
            video_reading.read_frames(path, needed, (HEIGHT, WIDTH)),
            starts,
            self.track_length,
            self.mask_people,
        )
        counts = dict.fromkeys((USED, TOO_LITTLE, TOO_MUCH), 0)
        kept = []
        for frame in labelled:
            verdict = self._verdict(frame.mask)
            counts[verdict] += 1
            if verdict == USED:
                kept.append(self._serialize(item.key, frame))
        counts[NO_CAMERA] = len(starts) - sum(counts.values())
        if not kept:
            raise SetAside(_why_none(counts), counts)
        return Converted(kept, counts=counts)

    def _times(self, path):
        """When the video's pictures are shown, in seconds."""
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

    def _verdict(self, mask):
        """The count that a frame with this mask belongs to."""
        share = (mask == masks.FOREGROUND).mean()
        if share < self.min_foreground:
            return TOO_LITTLE
        return TOO_MUCH if share > self.max_foreground else USED

    def _serialize(self, key, frame):
        return records.serialize(
            key=key,
            encoded=_encode(
                ".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality]
            ),
            height=HEIGHT,
            width=WIDTH,
            frame=frame.index,
            motion_mask=_encode(".png", frame.mask),
        )


def sample_starts(times: np.ndarray, track_length: int, wanted: int) -> list:
    """Spreads samples evenly over the time of the pictures that enough others follow.

    A picture that is shown for longer than a second counts as if it were shown for one:
    a still, or a gap between recordings that were put together, needs few samples.

    Args:
      times: float64 [frames], when each picture is shown, in seconds, ascending.
      track_length: pictures that must follow a sample.
      wanted: number of samples; 0 for all.

    Returns:
      sorted list of different picture indices.

    Example:
      >>> sample_starts(np.arange(110) / 25, 10, 4)
      [12, 37, 62, 87]
    """
    usable = len(times) - track_length
    if not wanted or wanted >= usable:
        return list(range(usable))
    shown = np.minimum(np.diff(times[: usable + 1]), _LONGEST)
    begin = np.concatenate([[0.0], np.cumsum(shown)])
    order = np.arange(wanted)
    # The tiny part keeps a time that is a picture's begin from being before it.
    targets = (2 * order + 1) / (2 * wanted) * begin[-1] * (1 + 1e-9)
    starts = np.searchsorted(begin, targets, side="right") - 1
    # Each its own picture, and enough pictures left for those after it.
    starts = np.maximum.accumulate(starts - order) + order
    return np.minimum(starts, usable - wanted + order).tolist()


def _why_none(counts):
    """Why no frame of a video was used."""
    reasons = [
        f"{number} {what.rpartition(', ')[2]}"
        for what, number in counts.items()
        if number
    ]
    return f"none of {sum(counts.values())} frames: {', '.join(reasons)}"


def _encode(extension, image, options=()):
    encoded, data = cv2.imencode(extension, image, list(options))
    if not encoded:
        raise ValueError(f"cannot be encoded as {extension}")
    return data.tobytes()
