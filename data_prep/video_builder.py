"""Builds a data set from a folder tree of videos; the library behind `videos`."""

import dataclasses
import os
import sys

from data_prep import inputs, writer
from selfsup.data import manifest as manifests
from selfsup.errors import UserError

# Videos a training shard: an interruption costs a worker minutes, not hours.
_VIDEOS_PER_SHARD = 100
_FEW_SHARDS = 16
# A video that takes longer is set aside. To read through a long film may take half an
# hour, and a sampled frame takes half a second, a whole one where people are masked.
_SECONDS = 3600
_SECONDS_PER_FRAME = 20
_SECONDS_FOR_ALL_FRAMES = 24 * 3600

_EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi"),
    *(".divx", ".mpg", ".mpeg", ".mpe", ".m2v", ".ts", ".mts", ".m2ts", ".vob"),
    *(".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ogm", ".y4m", ".mjpeg", ".gif"),
)


def build_videos(
    *,
    directory,
    output,
    frames_per_video=16,
    track_length=10,
    mask_people=False,
    min_foreground=0.0,
    max_foreground=0.6,
    jpeg_quality=95,
    num_shards=0,
    validation_fraction=0.05,
    workers=0,
):
    """Builds or resumes a data set of video frames with motion masks.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      frames_per_video, track_length, mask_people, min_foreground, max_foreground,
        jpeg_quality: as in `video_conversion.VideoConverter`.
      num_shards, validation_fraction, workers: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: no videos there, or as `writer.build`.
    """
    from data_prep import video_conversion

    if min_foreground > max_foreground:
        raise UserError(
            f"--min_foreground={min_foreground} is above "
            f"--max_foreground={max_foreground}"
        )
    found = find_videos(directory, output)
    converter = video_conversion.VideoConverter(
        directory=directory,
        frames_per_video=frames_per_video,
        track_length=track_length,
        mask_people=mask_people,
        min_foreground=min_foreground,
        max_foreground=max_foreground,
        jpeg_quality=jpeg_quality,
    )
    options = dataclasses.asdict(converter)
    del options["directory"]
    return writer.build(
        output=output,
        kind=manifests.VIDEO_FRAMES,
        features=("image", "motion_mask"),
        inputs=found.keys,
        convert=converter,
        options=options,
        num_shards=num_shards or _choose_shards(len(found.keys)),
        validation_fraction=validation_fraction,
        workers=workers,
        directory=directory,
        time_limit=_seconds(frames_per_video),
    )


def find_videos(directory, output):
    """Finds the videos of a folder, by extension, and reports what else lay there.

    Returns:
      `inputs.Found`.
    """
    if not os.path.isdir(directory):
        raise UserError(f"--input={directory}: is no folder")
    found = inputs.find(
        directory, lambda path: path.lower().endswith(_EXTENSIONS), exclude=[output]
    )
    print(
        f"{directory}: {len(found.keys)} videos; ignored {found.hidden} hidden and "
        f"{found.others} other files",
        file=sys.stderr,
    )
    for folder in found.unreadable:
        print(f"{folder}: cannot be listed", file=sys.stderr)
    if not found.keys:
        raise UserError(f"--input={directory}: no videos there or below")
    return found


def _seconds(frames_per_video):
    """Time limit of a video."""
    if not frames_per_video:
        return _SECONDS_FOR_ALL_FRAMES
    return _SECONDS + frames_per_video * _SECONDS_PER_FRAME


def _choose_shards(count):
    return max(_FEW_SHARDS, -(-count // _VIDEOS_PER_SHARD))
