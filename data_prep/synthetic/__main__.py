"""Renders a procedural world, in the layouts of the original data sets.

    python -m data_prep.synthetic --output=DIR [--scale=tiny|small] [--seed=0]

Textured objects of several classes stand and move in furnished rooms, seen by a moving
camera. DIR then contains imagenet/ (class folders), videos/ with the ground truth of
what moves in videos_truth/, VOCdevkit/ (boxes), nyu/ (depth in the .mat files of
NYU v2) and world.json. Equal flags give equal bytes, with any number of --workers. DIR
appears when it is complete.
"""

from __future__ import annotations

import sys

from absl import flags

from selfsup.command_line import command, path_flags

_OUTPUT = path_flags.define_path("output", None, "Folder to create.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Each seed gives another world.")
_SCALE = flags.DEFINE_enum(
    "scale",
    "tiny",
    ["tiny", "small"],
    "Size of the world; each of the flags below replaces a count of the scale.",
)
_COUNTS = {
    name: flags.DEFINE_integer(name, None, text)
    for name, text in {
        "classes": "Object classes, 2 to 12.",
        "images_per_class": "Training images in each class folder.",
        "validation_images_per_class": "Validation images in each class folder.",
        "videos": "Videos, of 240x320 pixels.",
        "frames": "Frames of each video.",
        "detection_images": "VOC images: a third each for train, val and test.",
        "depth_images": "NYU frames: five in seven for training, the rest for the test.",
    }.items()
}
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Worker processes; 0 starts one for each CPU.", lower_bound=0
)


def main(argv: list[str]) -> None:
    """Generates the world that the flags describe."""
    del argv
    from data_prep.synthetic import options, world

    chosen = options.resolve(
        _SCALE.value,
        _SEED.value,
        **{name: flag.value for name, flag in _COUNTS.items()},
    )
    generated = world.generate(_OUTPUT.value, chosen, _WORKERS.value)
    outcome = "generated" if generated else "exists already"
    print(f"{_OUTPUT.value}: {outcome}", file=sys.stderr)


def run() -> None:
    """Entry point of the console command."""
    command.run(main, "data_prep.synthetic.__main__")


if __name__ == "__main__":
    run()
