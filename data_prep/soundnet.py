"""Builds a data set of frames with motion masks from SoundNet's videos.

    python -m data_prep.soundnet --input=DIR --output=DIR [--list=FILE]

SoundNet is distributed as lists of addresses, without the videos. --input is the folder
of the videos that you have. A line of --list is a path below --input, an id (a file name
without its extension, in any folder) or an address that ends in an id or a file name;
missing videos are counted and set aside. Without --list, the command takes all videos in
--input. It keeps frames whose mask has 1% to 80% of foreground, so that something moves
in each of them. It prints the numbers of omitted frames by reason, and records them in
manifest.json. For the formats and for resuming an interrupted build, see
data_prep.videos.
"""

from __future__ import annotations

from absl import flags

from data_prep import videos
from data_prep.flags import builders
from data_prep.sources import video_builder
from selfsup.command_line import command, path_flags

_LIST = path_flags.define_path(
    "list", "", "Text file with a path, id or address per line; if empty, all videos."
)
_MAX_VIDEOS = flags.DEFINE_integer(
    "max_videos",
    0,
    "Number of videos to take, chosen by a hash of their names; 0 takes all.",
    lower_bound=0,
)
flags.adopt_module_key_flags(videos)
flags.FLAGS.set_default("frames_per_video", 4)
flags.FLAGS.set_default("min_foreground", 0.01)
flags.FLAGS.set_default("max_foreground", 0.8)


def main(argv: list[str]) -> None:
    del argv
    video_builder.build_videos(
        directory=builders.INPUT.value,
        output=builders.OUTPUT.value,
        list_file=_LIST.value,
        max_videos=_MAX_VIDEOS.value,
        conversion=videos.conversion_options(),
        **builders.hold_out_options(),
    )


def run() -> None:
    builders.require("input", "output")
    command.run(main, "data_prep.soundnet")


if __name__ == "__main__":
    run()
