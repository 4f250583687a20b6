"""Builds a data set of photos with depth: NYU Depth v2, or any folders of such photos.

    python -m data_prep.nyuv2 --output=DIR --labelled=nyu_depth_v2_labeled.mat \\
        --splits=splits.mat [--depth=raw]
    python -m data_prep.nyuv2 --output=DIR --raw=DIR --labelled=FILE.mat --splits=FILE.mat
    python -m data_prep.nyuv2 --output=DIR --rgb=DIR --depth_images=DIR \\
        [--depth_unit=0.001]

The first builds the official 795 training and 654 test frames; the second a larger
training set from the raw distribution's unpacked scene folders, without the scenes that
test frames show: depth at the paper's level needs both, as the method that the paper
takes trains on 12 thousand frames of the raw distribution. The third pairs photos with
16-bit depth images by their names. Unusable frames are set aside with the reason in
set_aside.tsv. Run the same command again after an interruption: finished shards are kept.
"""

import functools

from absl import flags

from data_prep.flags import builders
from selfsup.command_line import command, path_flags
from selfsup.common.errors import UserError

_LABELLED = path_flags.define_path(
    "labelled", None, "nyu_depth_v2_labeled.mat, or a file of its format."
)
_SPLITS = path_flags.define_path(
    "splits",
    None,
    "splits.mat. With --rgb, a text file: a line a photo, its split (train, validation "
    "or test) and its path below --rgb without the extension.",
)
_DEPTH = flags.DEFINE_enum(
    "depth",
    "filled",
    ["filled", "raw"],
    "Of the labelled set: filled takes the in-painted depth, raw what the sensor saw.",
)
_RAW = path_flags.define_path(
    "raw", None, "Folder with the raw distribution's scene folders, unpacked."
)
_ALL_SCENES = flags.DEFINE_bool(
    "all_scenes",
    False,
    "With --raw, takes scenes with test frames too: never test on NYU Depth v2 then.",
)
_FRAMES_PER_SCENE = flags.DEFINE_integer(
    "frames_per_scene",
    48,
    "With --raw, frames sampled evenly from a scene; 0 takes all.",
    lower_bound=0,
)
_MAX_TIME_DIFFERENCE = flags.DEFINE_float(
    "max_time_difference",
    0.04,
    "With --raw, seconds that a depth frame's nearest photo may be away from it.",
    lower_bound=0.0,
)
_RGB = path_flags.define_path("rgb", None, "Folder with photos, subfolders included.")
_DEPTH_IMAGES = path_flags.define_path(
    "depth_images", None, "With --rgb, folder with their 16-bit PNG, PGM or TIFF depth."
)
_DEPTH_UNIT = flags.DEFINE_float(
    "depth_unit", 0.001, "With --rgb, metres a step of the depth images."
)
_INVALID = flags.DEFINE_multi_integer(
    "invalid",
    [0, 65535],
    "With --rgb, values that say that the depth is unknown; 0 always does.",
)
_RESIZE_DEPTH = flags.DEFINE_bool(
    "resize_depth",
    False,
    "With --rgb, brings depth to the photo's size (nearest value) in place of setting "
    "aside what differs.",
)
_MIN_VALID = flags.DEFINE_float(
    "min_valid",
    0.01,
    "Share of a frame's pixels whose depth must be known.",
    lower_bound=0.0,
    upper_bound=1.0,
)
# Flags that mean something in one of the three ways to build alone.
_WAYS = {
    "rgb": (
        *("depth_unit", "invalid", "resize_depth", "validation_fraction"),
        "depth_images",
    ),
    "raw": ("all_scenes", "frames_per_scene", "max_time_difference"),
    "labelled": ("depth",),
}
for _name in (
    *("output", "workers", "num_shards", "validation_fraction"),
    *("runner", "beam_options"),
):
    flags.declare_key_flag(_name)


def main(argv):
    del argv
    build = _chosen()
    build(
        output=builders.OUTPUT.value,
        min_valid=_MIN_VALID.value,
        **builders.build_options(),
    )


def _chosen():
    """The builder that the flags ask for, with its own arguments."""
    if builders.INPUT.value is not None:
        raise UserError("--input: not here; give --labelled, --raw or --rgb")
    if _RAW.value and _RGB.value:
        raise UserError("--raw and --rgb: give one of them a build")
    _check_way()
    if _RGB.value:
        return _folders()
    if _RAW.value:
        return _raw()
    if not _LABELLED.value:
        raise UserError("give --labelled, --raw or --rgb: see --help")
    return _labelled()


def _check_way():
    """Refuses flags that would be ignored."""
    chosen = "rgb" if _RGB.value else "raw" if _RAW.value else "labelled"
    for way, names in _WAYS.items():
        for name in names:
            if way != chosen and flags.FLAGS[name].present:
                raise UserError(f"--{name}: goes with --{way} only, not --{chosen}")


def _labelled():
    if not _SPLITS.value:
        raise UserError("--labelled: needs --splits, the data set's splits.mat")
    from data_prep.sources.nyu import labelled_builder

    return functools.partial(
        labelled_builder.build_labelled,
        labelled=_LABELLED.value,
        splits=_SPLITS.value,
        depth=_DEPTH.value,
    )


def _raw():
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


def _folders():
    if not _DEPTH_IMAGES.value:
        raise UserError("--rgb: needs --depth_images, the folder with their depth")
    if _LABELLED.value:
        raise UserError("--labelled: goes with --raw or alone, not with --rgb")
    if not _DEPTH_UNIT.value > 0:
        raise UserError(f"--depth_unit={_DEPTH_UNIT.value}: expected above 0 (metres)")
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


def run():
    builders.required("output")
    command.run(main, "data_prep.nyuv2")


if __name__ == "__main__":
    run()
