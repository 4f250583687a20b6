"""Builds a data set of photos with depth: NYU Depth v2, or folders of photos and depth.

    python -m data_prep.nyuv2 --output=DIR --labelled=nyu_depth_v2_labeled.mat \\
        --splits=splits.mat [--depth=raw]
    python -m data_prep.nyuv2 --output=DIR --raw=DIR --labelled=FILE.mat --splits=FILE.mat
    python -m data_prep.nyuv2 --output=DIR --rgb=DIR --depth_images=DIR \\
        [--depth_unit=0.001]

The first command builds the official 795 training and 654 test frames. The second builds
a larger training set from the unpacked scene folders of the raw distribution, without the
scenes of the test frames. The paper's results need both: its method trains on 12 thousand
frames of the raw distribution. The third pairs photos with 16-bit depth images by their
names. set_aside.tsv lists unusable frames with the reasons. Run the same command again to
resume an interrupted build.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from data_prep.flags import builders
from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

if TYPE_CHECKING:
    from selfsup.data.manifest import Manifest

_LABELLED = path_flags.define_path(
    "labelled", None, "nyu_depth_v2_labeled.mat, or a file in its format."
)
_SPLITS = path_flags.define_path(
    "splits",
    None,
    "splits.mat. With --rgb, a text file with a line per photo: its split (train, "
    "validation or test) and its path below --rgb without the extension.",
)
_DEPTH = flags.DEFINE_enum(
    "depth",
    "filled",
    ["filled", "raw"],
    "For the labelled set: filled takes the in-painted depth, raw the depth as measured.",
)
_RAW = path_flags.define_path(
    "raw", None, "Folder with the raw distribution's scene folders, unpacked."
)
_ALL_SCENES = flags.DEFINE_bool(
    "all_scenes",
    False,
    "With --raw, also takes scenes with test frames; do not test on NYU Depth v2 then.",
)
_FRAMES_PER_SCENE = flags.DEFINE_integer(
    "frames_per_scene",
    48,
    "With --raw, number of frames to sample evenly from each scene; 0 takes all.",
    lower_bound=0,
)
_MAX_TIME_DIFFERENCE = flags.DEFINE_float(
    "max_time_difference",
    0.04,
    "With --raw, largest time in seconds between a depth frame and its nearest photo.",
    lower_bound=0.0,
)
_RGB = path_flags.define_path("rgb", None, "Folder of photos, with its subfolders.")
_DEPTH_IMAGES = path_flags.define_path(
    "depth_images",
    None,
    "With --rgb, folder of their depth as 16-bit PNG, PGM or TIFF.",
)
_DEPTH_UNIT = flags.DEFINE_float(
    "depth_unit", 0.001, "With --rgb, metres per step of the depth images."
)
_INVALID = flags.DEFINE_multi_integer(
    "invalid",
    [0, 65535],
    "With --rgb, values of the depth images for unknown depth, beside 0.",
)
_RESIZE_DEPTH = flags.DEFINE_bool(
    "resize_depth",
    False,
    "With --rgb, resizes depth of another size than its photo (to the nearest value); "
    "otherwise such photos are set aside.",
)
_MIN_VALID = flags.DEFINE_float(
    "min_valid",
    0.01,
    "Smallest share of a frame's pixels whose depth is known.",
    lower_bound=0.0,
    upper_bound=1.0,
)
# Flags by the only source that they apply to.
_SOURCE_FLAGS = {
    "rgb": (
        "depth_unit",
        "invalid",
        "resize_depth",
        "validation_fraction",
        "depth_images",
    ),
    "raw": ("all_scenes", "frames_per_scene", "max_time_difference"),
    "labelled": ("depth",),
}
for _name in (
    "output",
    "workers",
    "num_shards",
    "validation_fraction",
    "runner",
    "beam_options",
):
    flags.declare_key_flag(_name)


def main(argv: list[str]) -> None:
    del argv
    build = _choose_builder()
    build(
        output=builders.OUTPUT.value,
        min_valid=_MIN_VALID.value,
        **builders.build_options(),
    )


def _choose_builder() -> Callable[..., Manifest]:
    """Returns the builder that the flags ask for, with the arguments of its own flags."""
    if builders.INPUT.value is not None:
        raise UserError("--input: give --labelled, --raw or --rgb instead")
    if _RAW.value and _RGB.value:
        raise UserError("--raw and --rgb: give only one of them")
    _refuse_ignored_flags()
    if _RGB.value:
        return _folder_builder()
    if _RAW.value:
        return _raw_builder()
    if not _LABELLED.value:
        raise UserError("give --labelled, --raw or --rgb: see --help")
    return _labelled_builder()


def _refuse_ignored_flags() -> None:
    """Raises `UserError` if a flag applies to another source only."""
    chosen = "rgb" if _RGB.value else "raw" if _RAW.value else "labelled"
    for source, names in _SOURCE_FLAGS.items():
        for name in names:
            if source != chosen and flags.FLAGS[name].present:
                raise UserError(f"--{name}: only with --{source}, not with --{chosen}")


def _labelled_builder() -> Callable[..., Manifest]:
    if not _SPLITS.value:
        raise UserError("--labelled: needs --splits, the data set's splits.mat")
    from data_prep.sources.nyu import labelled_builder

    return functools.partial(
        labelled_builder.build_labelled,
        labelled=_LABELLED.value,
        splits=_SPLITS.value,
        depth=_DEPTH.value,
    )


def _raw_builder() -> Callable[..., Manifest]:
    from data_prep.sources.nyu import raw_builder

    return functools.partial(
        raw_builder.build_raw,
        raw=_RAW.value,
        labelled=_LABELLED.value,
        splits=_SPLITS.value,
        all_scenes=_ALL_SCENES.value,
        frames_per_scene=_FRAMES_PER_SCENE.value,
        max_time_difference=_MAX_TIME_DIFFERENCE.value,
    )


def _folder_builder() -> Callable[..., Manifest]:
    if not _DEPTH_IMAGES.value:
        raise UserError("--rgb: needs --depth_images, the folder of their depth")
    if _LABELLED.value:
        raise UserError("--labelled: not with --rgb")
    if not _DEPTH_UNIT.value > 0:
        raise UserError(
            f"--depth_unit={_DEPTH_UNIT.value}: expected a positive number of metres"
        )
    from data_prep.sources.nyu import folder_builder

    return functools.partial(
        folder_builder.build_folders,
        rgb=_RGB.value,
        depth_images=_DEPTH_IMAGES.value,
        depth_unit=_DEPTH_UNIT.value,
        invalid=tuple(_INVALID.value),
        resize_depth=_RESIZE_DEPTH.value,
        split_list=_SPLITS.value,
        validation_fraction=builders.VALIDATION_FRACTION.value,
    )


def run() -> None:
    builders.require("output")
    command.run(main, "data_prep.nyuv2")


if __name__ == "__main__":
    run()
