"""Renders one procedural world in the layouts of the data sets' owners.

    python -m data_prep.synthetic --output=DIR [--scale=tiny|small] [--seed=0]

Textured objects of several classes stand and move in furnished rooms, seen by a moving
camera. DIR then holds imagenet/ (class folders), videos/ with the truth about what moves
in videos_truth/, VOCdevkit/ (boxes), nyu/ (depth as NYU v2's .mat files) and world.json.
Equal flags give equal bytes, whatever --workers is. DIR appears when it is whole.
"""

import sys

from absl import flags

from selfsup.command_line import command, path_flags

_OUTPUT = path_flags.define_path("output", None, "Folder to make.")
_SEED = flags.DEFINE_integer("seed", 0, "Another seed, another world.")
_SCALE = flags.DEFINE_enum(
    "scale",
    "tiny",
    ["tiny", "small"],
    "How much of everything; each of the counts below replaces the scale's.",
)
_COUNTS = {
    name: flags.DEFINE_integer(name, None, text)
    for name, text in {
        "classes": "Object classes, 2 to 12.",
        "images_per_class": "Training images of a class folder.",
        "validation_images_per_class": "Validation images of a class folder.",
        "videos": "Videos, 240x320.",
        "frames": "Frames of a video.",
        "detection_images": "VOC images: a third each to train, val and test.",
        "depth_images": "NYU frames: five in seven to train, the others to test.",
    }.items()
}
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Worker processes; 0 takes one for each CPU.", lower_bound=0
)


def main(argv):
    del argv
    from data_prep.synthetic import options, world

    chosen = options.resolve(
        _SCALE.value,
        _SEED.value,
        **{name: flag.value for name, flag in _COUNTS.items()},
    )
    made = world.generate(_OUTPUT.value, chosen, _WORKERS.value)
    said = "made" if made else "is there already"
    print(f"{_OUTPUT.value}: {said}", file=sys.stderr)


def run():
    flags.mark_flags_as_required(["output"])
    command.run(main, "data_prep.synthetic.__main__")


if __name__ == "__main__":
    run()
