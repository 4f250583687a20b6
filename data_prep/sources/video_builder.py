"""Builds a data set from videos; the library behind `videos` and `soundnet`."""

import dataclasses

from data_prep.build import writer
from data_prep.sources import video_listing
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

# Videos a training shard: an interruption costs a worker minutes, not hours.
_VIDEOS_PER_SHARD = 100
# A video that takes longer is set aside. To read through a long film may take half an
# hour, and a sampled frame takes half a second, a whole one where people are masked.
_SECONDS = 3600
_SECONDS_PER_FRAME = 20
_SECONDS_FOR_ALL_FRAMES = 24 * 3600


def build_videos(
    *,
    directory,
    output,
    list_file="",
    max_videos=0,
    conversion=None,
    **build_options,
):
    """Builds or resumes a data set of video frames with motion masks.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      list_file: text file of paths and ids, see `video_listing.find_listed`; "" takes
        all videos of the folder.
      max_videos: how many of them to take, chosen by hash; 0 takes all.
      conversion: dict of attributes of `video_conversion.VideoConverter`; None leaves
        them as they are there.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: no videos there, or as `writer.build`.
    """
    from data_prep.sources import video_conversion

    converter = video_conversion.VideoConverter(directory, **(conversion or {}))
    if converter.min_foreground > converter.max_foreground:
        raise UserError(
            f"--min_foreground={converter.min_foreground} is above "
            f"--max_foreground={converter.max_foreground}"
        )
    options = dataclasses.asdict(converter)
    del options["directory"]
    return writer.build(
        output=output,
        kind=manifests.VIDEO_FRAMES,
        features=("image", "motion_mask"),
        inputs=_videos(directory, output, list_file, max_videos),
        convert=converter,
        options={**options, "max_videos": max_videos},
        inputs_per_shard=_VIDEOS_PER_SHARD,
        directory=directory,
        time_limit=_seconds(converter.frames_per_video),
        **build_options,
    )


def _videos(directory, output, list_file, max_videos):
    if list_file:
        found = video_listing.find_listed(directory, output, list_file)
    else:
        found = video_listing.find_videos(directory, output)
    return video_listing.choose(found, max_videos) if max_videos else found


def _seconds(frames_per_video):
    """Time limit of a video."""
    if not frames_per_video:
        return _SECONDS_FOR_ALL_FRAMES
    return _SECONDS + frames_per_video * _SECONDS_PER_FRAME
