"""Builds a data set of frames with motion masks from videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from data_prep.build import dataset_build
from data_prep.build.inputs import Input
from data_prep.sources import video_listing
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import HoldOutOptions
    from data_prep.sources.video_conversion import VideoConverter

# Few enough that an interruption costs a worker minutes, not hours.
_VIDEOS_PER_SHARD = 100
# A video that takes longer is set aside. Reading a long film may take half an hour. Each
# sampled frame takes half a second, or several seconds if people are masked.
_SECONDS = 3600
_SECONDS_PER_FRAME = 20
_SECONDS_FOR_ALL_FRAMES = 24 * 3600


class ConversionOptions(TypedDict, total=False):
    """The attributes of `video_conversion.VideoConverter` that a caller may set."""

    frames_per_video: int
    track_length: int
    mask_people: bool
    min_foreground: float
    max_foreground: float
    min_frames: int
    min_seconds: float
    jpeg_quality: int
    frame_gap: int


def build_videos(
    *,
    directory: str,
    output: str,
    list_file: str = "",
    max_videos: int = 0,
    conversion: ConversionOptions | None = None,
    **build_options: Unpack[HoldOutOptions],
) -> manifests.Manifest:
    """Builds a data set of frames with motion masks, or resumes an interrupted build.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      list_file: text file of paths and ids, see `video_listing.find_listed`; "" takes all
        videos in the folder.
      max_videos: number of videos to take, chosen by a hash; 0 takes all.
      conversion: options that differ from the defaults of
        `video_conversion.VideoConverter`.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest` of the finished data set.

    Raises:
      UserError: there are no videos, or options of the conversion contradict each other;
        or for a reason that `dataset_build.build` lists.
    """
    from data_prep.sources import video_conversion
    from selfsup.data import records

    converter = video_conversion.VideoConverter(directory, **(conversion or {}))
    _check(converter)
    features = [records.IMAGE, records.MOTION_MASK]
    options = dataclasses.asdict(converter)
    del options["directory"]
    if converter.frame_gap:
        features.append(records.SECOND_FRAME)
    else:
        # Builds that an earlier version began can be resumed.
        del options["frame_gap"]
    return dataset_build.build(
        output=output,
        kind=manifests.VIDEO_FRAMES,
        features=tuple(features),
        inputs=_list_videos(directory, output, list_file, max_videos),
        convert=converter,
        options={**options, "max_videos": max_videos},
        inputs_per_shard=_VIDEOS_PER_SHARD,
        directory=directory,
        time_limit=_time_limit(converter.frames_per_video),
        **build_options,
    )


def _check(converter: VideoConverter) -> None:
    """Refuses options of the conversion that contradict each other."""
    if converter.min_foreground > converter.max_foreground:
        raise UserError(
            f"min_foreground={converter.min_foreground} is above "
            f"max_foreground={converter.max_foreground}"
        )
    if converter.frame_gap > converter.track_length:
        raise UserError(
            f"frame_gap={converter.frame_gap} is above track_length="
            f"{converter.track_length}: expected at most as many frames, because only "
            "these are known to be in the same shot; raise track_length too"
        )


def _list_videos(
    directory: str, output: str, list_file: str, max_videos: int
) -> Iterator[str] | Iterator[Input]:
    videos: Iterator[str] | Iterator[Input]
    if list_file:
        videos = video_listing.find_listed(directory, output, list_file)
    else:
        videos = video_listing.find_videos(directory, output)
    return video_listing.choose(videos, max_videos) if max_videos else videos


def _time_limit(frames_per_video: int) -> float:
    """Returns the seconds that converting a video may take."""
    if not frames_per_video:
        return _SECONDS_FOR_ALL_FRAMES
    return _SECONDS + frames_per_video * _SECONDS_PER_FRAME
