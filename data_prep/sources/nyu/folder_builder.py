"""Folders of photos and of depth images, in any such set, to records."""

import dataclasses
import json
import os
import sys

from data_prep.build import inputs, writer
from data_prep.build.inputs import FileFinder
from data_prep.sources.nyu import pairing
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

_PHOTOS = (
    *(".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp"),
    *(".heic", ".heif", ".avif", ".jp2"),
)
_DEPTHS = (".png", ".pgm", ".tif", ".tiff")
_SPLITS = ("train", "validation", "test")
_SECONDS = 120
_MAX_PIXELS = 100_000_000
# Marks keys of depth images that have no photo, whose names a photo may have too.
_LONE_DEPTH = "depth image: "


def build_folders(
    *,
    rgb,
    depth_images,
    output,
    depth_unit=0.001,
    invalid=(0, 65535),
    resize_depth=False,
    split_list=None,
    validation_fraction=0.05,
    min_valid=0.01,
    **build_options,
):
    """Builds or resumes a set of photos with depth.

    Args:
      rgb, depth_images: folders; may be the same one.
      output: folder for the shards.
      depth_unit: metres a step of the depth images.
      invalid: values that say that the depth is unknown; 0 always does.
      resize_depth: brings depth to the photo's size, nearest value; else depth of
        another size is set aside.
      split_list: text file, a line a photo: its split, then its path without the
        extension; photos that are not in it are left out. None to draw.
      validation_fraction: share held out without `split_list`.
      min_valid: share of an image's pixels whose depth must be known.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: no pairs there, a faulty list, or as `writer.build`.
    """
    from data_prep.sources.photo_conversion import JPEG_QUALITY

    pairs = find_pairs(rgb, depth_images, output)
    splits = _read_split_list(split_list, pairs) if split_list else None
    return writer.build(
        output=output,
        kind=manifests.RGBD,
        features=("image", "depth"),
        inputs=_inputs(pairs, splits, depth_images),
        convert=FolderConverter(
            rgb, depth_images, depth_unit, tuple(invalid), resize_depth, min_valid
        ),
        options={
            "source": "folders",
            "depth": "raw",
            "depth_unit": depth_unit,
            "invalid": sorted({0, *invalid}),
            "resize_depth": resize_depth,
            "min_valid": min_valid,
            "image": f"as it is, or JPEG {JPEG_QUALITY}",
        },
        directory=rgb,
        containers=(depth_images,),
        validation_fraction=validation_fraction,
        time_limit=_SECONDS,
        **build_options,
    )


def find_pairs(rgb, depth_images, output):
    """`pairing.Pairs` of the two folders; says on stderr what was found."""
    for flag, folder in (("rgb", rgb), ("depth_images", depth_images)):
        if not os.path.isdir(folder):
            raise UserError(f"--{flag}={folder}: is no folder")
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
            f"--rgb={rgb}, --depth_images={depth_images}: no photo and depth image "
            "have the same name (extensions and words like rgb and depth aside)"
        )
    return pairs


def _report(rgb, depth_images, pairs):
    print(f"{rgb}: {len(pairs.pairs)} photos with depth", file=sys.stderr)
    for folder, what, left in (
        (rgb, "photos without a depth image", pairs.photos),
        (depth_images, "depth images without a photo", pairs.depths),
    ):
        if left:
            shown = ", ".join(left[:3])
            more = ", ..." if len(left) > 3 else ""
            print(f"{folder}: {len(left)} {what}: {shown}{more}", file=sys.stderr)


def _read_split_list(path, pairs):
    """{photo's path without extension: split}; every line must name a pair."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip().split(maxsplit=1) for line in file if line.strip()]
    except OSError as error:
        raise UserError(f"--splits={path}: cannot be read: {error}") from error
    known = {pairing.stem(photo) for photo, _ in pairs.pairs}
    splits = {}
    for fields in lines:
        name = os.path.normpath(fields[-1])
        if len(fields) != 2 or fields[0] not in _SPLITS:
            raise UserError(
                f"--splits={path}: {' '.join(fields)!r} is not train, validation or "
                "test and a photo's path without extension"
            )
        if name not in known:
            raise UserError(f"--splits={path}: {name!r} is no photo with depth")
        if splits.setdefault(name, fields[0]) != fields[0]:
            raise UserError(f"--splits={path}: {name!r} is in two splits")
    left = len(known) - len(splits)
    if left:
        print(f"{path}: leaves {left} of {len(known)} photos out", file=sys.stderr)
    return splits


def detail(depth_images, depth):
    """The text in an `Input` that names its depth image, and tells a replaced one."""
    return json.dumps([depth, inputs.file_state(os.path.join(depth_images, depth))])


def _inputs(pairs, splits, depth_images):
    """All pairs, and what has none, which `convert` sets aside."""
    for photo, depth in pairs.pairs:
        stem = pairing.stem(photo)
        if splits is None or stem in splits:
            split = "" if splits is None else splits[stem]
            yield writer.Input(photo, split, detail(depth_images, depth))
    split = "" if splits is None else "train"
    for photo in pairs.photos:
        yield writer.Input(photo, split)
    for depth in pairs.depths:
        yield writer.Input(_LONE_DEPTH + depth, split)


@dataclasses.dataclass(frozen=True)
class FolderConverter:
    """Converts a photo and its depth image; a `convert` of `writer.build`.

    Attributes:
      rgb, depth_images, depth_unit, invalid, resize_depth, min_valid: as in
        `build_folders`.
    """

    rgb: str
    depth_images: str
    depth_unit: float
    invalid: tuple
    resize_depth: bool
    min_valid: float

    def __call__(self, one):
        """Returns `Converted` with the one record of a pair; raises `SetAside`."""
        from data_prep.sources import photo_conversion
        from data_prep.sources.nyu import depth_encoding
        from selfsup.data import records

        if one.key.startswith(_LONE_DEPTH):
            raise writer.SetAside("depth image without a photo of its name")
        if not one.detail:
            raise writer.SetAside("photo without a depth image of its name")
        data = _read(self.rgb, one.key)
        photo = photo_conversion.convert(data, one.key, max_pixels=_MAX_PIXELS)
        name, _ = json.loads(one.detail)
        depth = _read(self.depth_images, name)
        _check_turned_alike(data, depth)
        steps = self._depth(depth, photo.height, photo.width)
        record = records.serialize(
            key=one.key,
            encoded=photo.encoded,
            height=photo.height,
            width=photo.width,
            depth=depth_encoding.encode_steps(steps, self.min_valid),
            depth_unit=self.depth_unit,
        )
        return writer.Converted([record], photo.note)

    def _depth(self, data, height, width):
        """uint16 [height, width] of a depth image's bytes, 0 where unknown."""
        import cv2
        import numpy as np

        from data_prep.sources.nyu import depth_decoding

        steps = depth_decoding.decode(data)
        steps = np.where(np.isin(steps, self.invalid), 0, steps).astype(np.uint16)
        if steps.shape == (height, width):
            return steps
        if not self.resize_depth:
            raise writer.SetAside(
                f"depth image has {steps.shape[1]}x{steps.shape[0]} pixels, the photo "
                f"{width}x{height} (--resize_depth brings it to the photo's size)"
            )
        return cv2.resize(steps, (width, height), interpolation=cv2.INTER_NEAREST)


def _check_turned_alike(photo, depth):
    """Raises `SetAside` where EXIF turns one of two files and the other not so.

    A depth image without EXIF may belong to the photo as it is stored or as it is shown.
    """
    from data_prep.sources import photo_conversion

    photo = photo_conversion.orientation(photo)
    depth = photo_conversion.orientation(depth)
    if photo != depth:
        raise writer.SetAside(
            f"the photo is rotated by EXIF (orientation {photo}), its depth image "
            f"otherwise (orientation {depth})"
        )


def _read(folder, name):
    """A file's bytes, unless they are too many for an image."""
    from data_prep.sources import photo_conversion

    limit = photo_conversion.byte_limit(_MAX_PIXELS)
    with open(os.path.join(folder, name), "rb") as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise writer.SetAside(f"{name} has over {limit} bytes: too large")
        return file.read(limit)
