"""Builds a data set from a folder tree of videos; the library behind `videos`."""

import dataclasses

from data_prep import inputs, writer
from selfsup.data import manifest as manifests
from selfsup.errors import UserError

# Videos a training shard: an interruption costs a worker minutes, not hours.
_VIDEOS_PER_SHARD = 100
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
    **build_options,
):
    """Builds or resumes a data set of video frames with motion masks.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      frames_per_video, track_length, mask_people, min_foreground, max_foreground,
        jpeg_quality: as in `video_conversion.VideoConverter`.
      **build_options: as in `writer.build`.

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
        inputs=find_videos(directory, output),
        convert=converter,
        options=options,
        inputs_per_shard=_VIDEOS_PER_SHARD,
        directory=directory,
        time_limit=_seconds(frames_per_video),
        **build_options,
    )


def find_videos(directory, output):
    """Yields the videos of a folder, by extension; reports what else lay there."""
    return inputs.find(directory, output, _looks_like_video, "videos")


def _looks_like_video(path):
    return path.lower().endswith(_EXTENSIONS)


def _seconds(frames_per_video):
    """Time limit of a video."""
    if not frames_per_video:
        return _SECONDS_FOR_ALL_FRAMES
    return _SECONDS + frames_per_video * _SECONDS_PER_FRAME
