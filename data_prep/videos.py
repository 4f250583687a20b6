"""Builds a data set of frames with motion masks from any folder tree of videos.

    python -m data_prep.videos --input=DIR --output=DIR

Reads MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV, Ogg and GIF, in the codecs of FFmpeg as
installed with PyAV, and frames as a player shows them. They are sampled evenly over the
time of each video and resized to 240x320; the mask of a frame, at an eighth of that, says
what moves on its own in the frames that follow, by Improved Dense Trajectories.
Videos that cannot be read, were cut off or are too short are set aside with the reason in
set_aside.tsv; frames left out are counted, by reason, in manifest.json. Run the same
command again after an interruption: finished shards are kept.
"""

from absl import flags

from data_prep.flags import builders
from data_prep.sources import video_builder
from selfsup.command_line import command

_FRAMES = flags.DEFINE_integer(
    "frames_per_video",
    16,
    "Frames sampled from a video; 0 takes every frame that enough frames follow.",
    lower_bound=0,
)
_TRACK_LENGTH = flags.DEFINE_integer(
    "track_length", 10, "Frames that points are followed over.", lower_bound=1
)
_MASK_PEOPLE = flags.DEFINE_bool(
    "mask_people",
    False,
    "Keeps what a people detector finds out of the camera's estimate; many times "
    "slower.",
)
_MIN_FOREGROUND = flags.DEFINE_float(
    "min_foreground",
    0.0,
    "Leaves frames out whose mask is foreground to a smaller share.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_MAX_FOREGROUND = flags.DEFINE_float(
    "max_foreground",
    0.6,
    "Leaves frames out whose mask is foreground to a larger share: as a rule, the "
    "camera's motion was mistaken there.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_MIN_FRAMES = flags.DEFINE_integer(
    "min_frames",
    0,
    "Sets videos of fewer frames aside; those that have no more than --track_length "
    "are, in any case.",
    lower_bound=0,
)
_MIN_SECONDS = flags.DEFINE_float(
    "min_seconds", 0.0, "Sets shorter videos aside.", lower_bound=0.0
)
_JPEG_QUALITY = flags.DEFINE_integer(
    "jpeg_quality", 95, "Of the frames.", lower_bound=1, upper_bound=100
)
flags.adopt_module_key_flags(builders)


def conversion():
    """The flags' values that say what becomes of a video."""
    return {
        "frames_per_video": _FRAMES.value,
        "track_length": _TRACK_LENGTH.value,
        "mask_people": _MASK_PEOPLE.value,
        "min_foreground": _MIN_FOREGROUND.value,
        "max_foreground": _MAX_FOREGROUND.value,
        "min_frames": _MIN_FRAMES.value,
        "min_seconds": _MIN_SECONDS.value,
        "jpeg_quality": _JPEG_QUALITY.value,
    }


def main(argv):
    del argv
    video_builder.build_videos(
        directory=builders.input_folder(),
        output=builders.OUTPUT.value,
        conversion=conversion(),
        validation_fraction=builders.VALIDATION_FRACTION.value,
        **builders.build_options(),
    )


def run():
    builders.required("input", "output")
    command.run(main, "data_prep.videos")


if __name__ == "__main__":
    run()
