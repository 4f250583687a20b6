"""Builds a data set of frames with motion masks from a folder of videos.

    python -m data_prep.videos --input=DIR --output=DIR

Reads MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV, Ogg and GIF, in the codecs of the FFmpeg
that comes with PyAV. Frames are sampled evenly over the time of each video, rotated as a
player shows them and resized to 240x320. The mask of a frame has an eighth of that size;
it marks what moves independently of the camera in the next frames, by Improved Dense
Trajectories. set_aside.tsv lists videos that cannot be read, were cut off or are too
short; manifest.json counts omitted frames by reason. Run the same command again to resume
an interrupted build.
"""

from __future__ import annotations

from absl import flags

from data_prep.flags import builders
from data_prep.sources import video_builder
from selfsup.command_line import command

_FRAMES = flags.DEFINE_integer(
    "frames_per_video",
    16,
    "Frames to sample from a video; 0 takes every frame that enough frames follow.",
    lower_bound=0,
)
_TRACK_LENGTH = flags.DEFINE_integer(
    "track_length", 10, "Number of frames to follow points over.", lower_bound=1
)
_MASK_PEOPLE = flags.DEFINE_bool(
    "mask_people",
    False,
    "Estimates the camera's motion without the people that a detector finds; many times "
    "slower.",
)
_MIN_FOREGROUND = flags.DEFINE_float(
    "min_foreground",
    0.0,
    "Omits frames whose mask has a smaller share of foreground.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_MAX_FOREGROUND = flags.DEFINE_float(
    "max_foreground",
    0.6,
    "Omits frames whose mask has a larger share of foreground: usually, the estimate of "
    "the camera's motion is wrong there.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_MIN_FRAMES = flags.DEFINE_integer(
    "min_frames",
    0,
    "Sets videos with fewer frames aside, and in any case videos with no more frames "
    "than --track_length.",
    lower_bound=0,
)
_MIN_SECONDS = flags.DEFINE_float(
    "min_seconds", 0.0, "Sets shorter videos aside.", lower_bound=0.0
)
_JPEG_QUALITY = flags.DEFINE_integer(
    "jpeg_quality", 95, "JPEG quality of the frames.", lower_bound=1, upper_bound=100
)
_FRAME_GAP = flags.DEFINE_integer(
    "frame_gap",
    0,
    "Stores with each frame the frame that follows by this number, for tasks that read "
    "two frames; at most --track_length. 0 stores single frames.",
    lower_bound=0,
)
flags.adopt_module_key_flags(builders)


def conversion_options() -> video_builder.ConversionOptions:
    """Returns the values of the flags about the conversion of a video."""
    return {
        "frames_per_video": _FRAMES.value,
        "track_length": _TRACK_LENGTH.value,
        "mask_people": _MASK_PEOPLE.value,
        "min_foreground": _MIN_FOREGROUND.value,
        "max_foreground": _MAX_FOREGROUND.value,
        "min_frames": _MIN_FRAMES.value,
        "min_seconds": _MIN_SECONDS.value,
        "jpeg_quality": _JPEG_QUALITY.value,
        "frame_gap": _FRAME_GAP.value,
    }


def main(argv: list[str]) -> None:
    del argv
    video_builder.build_videos(
        directory=builders.INPUT.value,
        output=builders.OUTPUT.value,
        conversion=conversion_options(),
        **builders.hold_out_options(),
    )


def run() -> None:
    builders.require("input", "output")
    command.run(main, "data_prep.videos")


if __name__ == "__main__":
    run()
