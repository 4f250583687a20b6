"""Lists photos and depth images in folders, paired by their names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

from data_prep.build.inputs import FileFinder, Input
from data_prep.sources.nyu import folder_conversion, pairing
from data_prep.sources.nyu.pairing import Pairs
from selfsup.common.errors import UserError, error_reason

_PHOTOS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp",
    ".heic", ".heif", ".avif", ".jp2",
)  # fmt: skip
_DEPTHS = (".png", ".pgm", ".tif", ".tiff")
_SPLITS = ("train", "validation", "test")
_NAMES_SHOWN = 3


def find_pairs(rgb: str, depth_images: str, output: str) -> Pairs:
    """Pairs the photos and depth images of two folders; reports the numbers on stderr.

    Args:
      rgb, depth_images: the folders; may be the same.
      output: the builder's output folder, which is skipped.

    Raises:
      UserError: a folder does not exist, or there are no pairs.
    """
    for folder in (rgb, depth_images):
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: is not a folder")
    photos = FileFinder(rgb, lambda path: path.lower().endswith(_PHOTOS), (output,))
    depths = FileFinder(
        depth_images, lambda path: path.lower().endswith(_DEPTHS), (output,)
    )
    if os.path.samefile(rgb, depth_images):
        pairs = pairing.pair(
            (path for path in photos if not pairing.is_depth_name(path)),
            filter(pairing.is_depth_name, depths),
        )
    else:
        pairs = pairing.pair(photos, depths)
    _report(rgb, depth_images, pairs)
    if not pairs.pairs:
        raise UserError(
            f"{rgb}, {depth_images}: no photo and depth image have the same name "
            "(extensions and words like rgb and depth aside)"
        )
    return pairs


def _report(rgb: str, depth_images: str, pairs: Pairs) -> None:
    print(f"{rgb}: {len(pairs.pairs)} photos with depth", file=sys.stderr)
    for folder, what, paths in (
        (rgb, "photos without a depth image", pairs.photos),
        (depth_images, "depth images without a photo", pairs.depths),
    ):
        if paths:
            names = ", ".join(paths[:_NAMES_SHOWN])
            more = ", ..." if len(paths) > _NAMES_SHOWN else ""
            print(f"{folder}: {len(paths)} {what}: {names}{more}", file=sys.stderr)


def read_split_list(path: str, pairs: Pairs) -> dict[str, str]:
    """Reads a text file that lists the split of each photo.

    A line has a split (train, validation or test) and a photo's path without extension.
    Photos that no line names are left out of the data set.

    Args:
      path: the text file.
      pairs: the photos with depth; each line must name one of them.

    Returns:
      {photo's path without extension: split}.

    Raises:
      UserError: the file cannot be read, or a line is faulty.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip().split(maxsplit=1) for line in file if line.strip()]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
    photos = {pairing.stem(photo) for photo, _ in pairs.pairs}
    splits: dict[str, str] = {}
    for fields in lines:
        name = os.path.normpath(fields[-1])
        if len(fields) != 2 or fields[0] not in _SPLITS:
            raise UserError(
                f"{path}: {' '.join(fields)!r} is not train, validation or test and a "
                "photo's path without extension"
            )
        if name not in photos:
            raise UserError(f"{path}: {name!r} is not a photo with depth")
        if splits.setdefault(name, fields[0]) != fields[0]:
            raise UserError(f"{path}: {name!r} is in two splits")
    left_out = len(photos) - len(splits)
    if left_out:
        print(f"{path}: leaves {left_out} of {len(photos)} photos out", file=sys.stderr)
    return splits


def list_inputs(
    pairs: Pairs, splits: Mapping[str, str] | None, depth_images: str
) -> Iterator[Input]:
    """Yields an `Input` for each pair, and for each file without a partner.

    The conversion sets files without a partner aside, so that the user sees them listed.

    Args:
      pairs: the pairs and the other files.
      splits: {photo's path without extension: split}; None if the build is to choose.
      depth_images: folder of the depth images.
    """
    for photo, depth in pairs.pairs:
        stem = pairing.stem(photo)
        if splits is None or stem in splits:
            split = "" if splits is None else splits[stem]
            yield Input(photo, split, folder_conversion.detail(depth_images, depth))
    split = "" if splits is None else "train"
    for photo in pairs.photos:
        yield Input(photo, split)
    for depth in pairs.depths:
        yield Input(folder_conversion.LONE_DEPTH + depth, split)
