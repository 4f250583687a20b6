"""Builds a data set of images with boxes from PASCAL VOC 2007, or any set laid out so.

    python -m data_prep.voc07 --output=DIR \\
        --input=VOCtrainval_06-Nov-2007.tar,VOCtest_06-Nov-2007.tar

--input is the tars as they are distributed, or the folder VOCdevkit that they hold;
several are separated by commas. Images keep their bytes, boxes are checked against them.
Unusable images are set aside with the reason in set_aside.tsv; repaired.tsv lists the
objects that were clipped, corrected or set aside. Run the same command again after an
interruption: finished shards are kept.
"""

from absl import flags

from data_prep.flags import builders
from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_YEAR = flags.DEFINE_string(
    "year", "", "VOC2007 or another folder of the devkit; needed if there are several."
)
_SPLITS = flags.DEFINE_list(
    "splits",
    [],
    "Of train, val, trainval and test, those to build; otherwise all that are there.",
)
_CLASSES = path_flags.define_names_or_file(
    "classes",
    "",
    "Names separated by commas, @FILE with one a line, or found: all in the "
    "annotations, sorted. Objects of others are left out. Otherwise VOC's 20.",
)
# The lists of a devkit say what is held out.
_MEANINGLESS = "validation_fraction"
for _flag in flags.FLAGS.get_key_flags_for_module(builders):
    if _flag.name != _MEANINGLESS:
        flags.declare_key_flag(_flag.name)


def main(argv):
    del argv
    if flags.FLAGS[_MEANINGLESS].present:
        raise UserError(f"--{_MEANINGLESS}: not here; the lists in ImageSets/Main say")
    from data_prep.sources import voc_builder

    voc_builder.build_voc(
        inputs=builders.INPUT.value,
        output=builders.OUTPUT.value,
        year=_YEAR.value,
        splits=_SPLITS.value,
        classes=_CLASSES.value,
        **builders.build_options(),
    )


def run():
    builders.required("input", "output")
    command.run(main, "data_prep.voc07")


if __name__ == "__main__":
    run()
