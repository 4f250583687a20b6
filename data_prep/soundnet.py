"""Builds a data set of frames with motion masks from SoundNet's videos, or others.

    python -m data_prep.soundnet --input=DIR --output=DIR [--list=FILE]

SoundNet's owners distribute lists of addresses, not videos: --input holds those that
you have. A line of --list is a path below --input, an id (a file's name without its
extension, in any folder) or an address that ends in an id or in a file's name; what is
not on disk is counted and set aside. Without --list, all videos there are taken. Frames
are kept when 1% to 80% of their mask is foreground, so that each has something that
moves; how many were left out, and why, is said at the end and in manifest.json. For all
else, and to go on after an interruption, see data_prep.videos.
"""

from absl import flags

from data_prep import videos
from data_prep.flags import builders
from data_prep.sources import video_builder
from selfsup.command_line import command, path_flags

_LIST = path_flags.define_path(
    "list", "", "Text file with a path, id or address a line; without it, all videos."
)
_MAX_VIDEOS = flags.DEFINE_integer(
    "max_videos",
    0,
    "Videos to take of those on disk, chosen by a hash of their names; 0 takes all.",
    lower_bound=0,
)
flags.adopt_module_key_flags(videos)
flags.FLAGS.set_default("frames_per_video", 4)
flags.FLAGS.set_default("min_foreground", 0.01)
flags.FLAGS.set_default("max_foreground", 0.8)


def main(argv):
    del argv
    video_builder.build_videos(
        directory=builders.input_folder(),
        output=builders.OUTPUT.value,
        list_file=_LIST.value,
        max_videos=_MAX_VIDEOS.value,
        conversion=videos.conversion(),
        validation_fraction=builders.VALIDATION_FRACTION.value,
        **builders.build_options(),
    )


def run():
    builders.required("input", "output")
    command.run(main, "data_prep.soundnet")


if __name__ == "__main__":
    run()
