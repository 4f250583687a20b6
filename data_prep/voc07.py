"""Builds a data set of images with boxes from PASCAL VOC 2007, or another VOCdevkit.

    python -m data_prep.voc07 --output=DIR \\
        --input=VOCtrainval_06-Nov-2007.tar,VOCtest_06-Nov-2007.tar

--input is the distributed tar files, or the folder VOCdevkit that they contain; separate
several by commas. Images keep their bytes, and boxes are checked against them.
set_aside.tsv lists unusable images with the reasons; repaired.tsv lists objects that were
clipped, corrected or set aside. Run the same command again to resume an interrupted
build.
"""

from __future__ import annotations

from absl import flags

from data_prep.flags import builders
from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_YEAR = flags.DEFINE_string(
    "year", "", "VOC2007 or another folder of the devkit; needed if it has several."
)
_SPLITS = flags.DEFINE_list(
    "splits",
    [],
    "Splits to build: some of train, val, trainval and test; if empty, all that exist.",
)
_CLASSES = path_flags.define_names_or_file(
    "classes",
    "",
    "Class names separated by commas, @FILE with a name per line, or found: all in the "
    "annotations, sorted. Objects of other classes are omitted. If empty, VOC's 20.",
)
# The lists of a devkit name the held-out images.
_UNUSED = "validation_fraction"
for _flag in flags.FLAGS.get_key_flags_for_module(builders):
    if _flag.name != _UNUSED:
        flags.declare_key_flag(_flag.name)


def main(argv: list[str]) -> None:
    del argv
    if flags.FLAGS[_UNUSED].present:
        raise UserError(
            f"--{_UNUSED}: not for this builder; the lists in ImageSets/Main name the "
            "held-out images"
        )
    from data_prep.sources import voc_builder

    voc_builder.build_voc(
        inputs=builders.INPUT.value,
        output=builders.OUTPUT.value,
        year=_YEAR.value,
        splits=_SPLITS.value,
        classes=_CLASSES.value,
        **builders.build_options(),
    )


def run() -> None:
    builders.accept_several_inputs("Tar files, or the folder VOCdevkit.")
    builders.require("input", "output")
    command.run(main, "data_prep.voc07")


if __name__ == "__main__":
    run()
