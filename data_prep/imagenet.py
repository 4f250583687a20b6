"""Builds ILSVRC2012, or any set of photos in class folders, labelled.

    python -m data_prep.imagenet --output=DIR --train=ILSVRC2012_img_train.tar \\
        --validation=ILSVRC2012_img_val.tar \\
        --validation_labels=ILSVRC2012_devkit_t12.tar.gz

The tar files are read in place: nothing is unpacked. --train and --validation may also
be folders of class folders (n01440764, or any names). Labels are the sorted names of
--train's class folders. Without --validation a share of --train is held out. Upright RGB
or gray JPEGs keep their bytes; repaired.tsv lists what had to be repaired (CMYK, files
of another format than their name says), set_aside.tsv what cannot be used. Run the same
command again after an interruption: finished shards are kept.
"""

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
    "For validation images in no class folders: the devkit "
    "(ILSVRC2012_devkit_t12.tar.gz), ILSVRC2012_validation_ground_truth.txt, a file of "
    "one WNID an image, or LOC_val_solution.csv.",
)
_SYNSETS = path_flags.define_path(
    "synsets",
    "",
    "For ILSVRC2012_validation_ground_truth.txt alone: the devkit's meta.mat, or a text "
    "file whose line k is the WNID of ILSVRC2012_ID k.",
)
flags.adopt_module_key_flags(photos)
# All of the builders' but --input, which the first two stand in for.
for _flag in flags.FLAGS.get_key_flags_for_module(builders):
    if _flag.name != "input":
        flags.declare_key_flag(_flag.name)


def main(argv):
    del argv
    if builders.INPUT.value is not None:
        raise UserError("--input: give --train and --validation in its place")
    if _VALIDATION.value and flags.FLAGS["validation_fraction"].present:
        raise UserError("--validation_fraction: goes without --validation only")
    from data_prep.sources import imagenet_builder

    imagenet_builder.build_imagenet(
        train=_TRAIN.value,
        output=builders.OUTPUT.value,
        validation=_VALIDATION.value,
        validation_labels=_VALIDATION_LABELS.value,
        synsets=_SYNSETS.value,
        **photos.limits(),
        validation_fraction=builders.VALIDATION_FRACTION.value,
        **builders.build_options(),
    )


def run():
    builders.required("train", "output")
    command.run(main, "data_prep.imagenet")


if __name__ == "__main__":
    run()
