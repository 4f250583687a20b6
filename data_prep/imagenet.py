"""Builds a labelled data set from ILSVRC2012, or from any photos in class folders.

    python -m data_prep.imagenet --output=DIR --train=ILSVRC2012_img_train.tar \\
        --validation=ILSVRC2012_img_val.tar \\
        --validation_labels=ILSVRC2012_devkit_t12.tar.gz

Tar files are read in place; nothing is unpacked. --train and --validation may also be
folders of class folders (n01440764, or any names). Labels are the sorted names of the
class folders of --train. Without --validation, a share of --train is held out. Upright
RGB or gray JPEGs keep their bytes. repaired.tsv lists photos that had to be repaired
(CMYK, or another format than the file name says), set_aside.tsv those that cannot be
used. Run the same command again to resume an interrupted build.
"""

from __future__ import annotations

from absl import flags

from data_prep.flags import builders, photos
from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_TRAIN = path_flags.define_path(
    "train",
    None,
    "Training images: ILSVRC2012_img_train.tar, or a folder or tar of class folders.",
)
_VALIDATION = path_flags.define_path(
    "validation",
    "",
    "Validation images: ILSVRC2012_img_val.tar, the folder of its contents, or a folder "
    "or tar of class folders.",
)
_VALIDATION_LABELS = path_flags.define_path(
    "validation_labels",
    "",
    "For validation images without class folders: the devkit "
    "(ILSVRC2012_devkit_t12.tar.gz), ILSVRC2012_validation_ground_truth.txt, a file with "
    "a WNID per image, or LOC_val_solution.csv.",
)
_SYNSETS = path_flags.define_path(
    "synsets",
    "",
    "Only for ILSVRC2012_validation_ground_truth.txt: the devkit's meta.mat, or a text "
    "file whose line k is the WNID of ILSVRC2012_ID k.",
)
flags.adopt_module_key_flags(photos)
# --train and --validation replace --input.
for _flag in flags.FLAGS.get_key_flags_for_module(builders):
    if _flag.name != "input":
        flags.declare_key_flag(_flag.name)


def main(argv: list[str]) -> None:
    del argv
    if builders.INPUT.value is not None:
        raise UserError("--input: give --train and --validation instead")
    if _VALIDATION.value and flags.FLAGS["validation_fraction"].present:
        raise UserError("--validation_fraction: not with --validation")
    from data_prep.sources import imagenet_builder

    imagenet_builder.build_imagenet(
        train=_TRAIN.value,
        output=builders.OUTPUT.value,
        validation=_VALIDATION.value,
        validation_labels=_VALIDATION_LABELS.value,
        synsets=_SYNSETS.value,
        **photos.size_limits(),
        **builders.hold_out_options(),
    )


def run() -> None:
    builders.require("train", "output")
    command.run(main, "data_prep.imagenet")


if __name__ == "__main__":
    run()
