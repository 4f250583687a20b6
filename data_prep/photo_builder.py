"""Builds a data set from a folder tree of photos; the library behind `photos`."""

import os
import sys

from data_prep import inputs, photo_conversion, writer
from selfsup.data import manifest as manifests
from selfsup.errors import UserError

NO_LABELS = "none"
FOLDER_LABELS = "folders"

# A photo that takes longer is set aside; one of 100 million pixels takes seconds.
_SECONDS = 120
_PIXELS_PER_SECOND = 500_000

_EXTENSIONS = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".dib",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pnm",
    ".avif",
    ".heic",
    ".heif",
    ".jp2",
)
_SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
)


def build_photos(
    *,
    directory,
    output,
    labels=NO_LABELS,
    max_side=0,
    max_pixels=100_000_000,
    num_shards=0,
    validation_fraction=0.05,
    workers=0,
):
    """Builds or resumes a data set of photos.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      labels: "none", or "folders" to take the first folder level as the class.
      max_side: longer side above which photos are shrunk; 0 keeps all sizes.
      max_pixels: larger images are set aside.
      num_shards, validation_fraction, workers: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: no photos there, or as `writer.build`.
    """
    found = find_photos(directory, output)
    names = _class_names(directory, found.keys) if labels == FOLDER_LABELS else ()
    return writer.build(
        output=output,
        kind=manifests.PHOTOS,
        features=("image", "label") if names else ("image",),
        inputs=found.keys,
        convert=photo_conversion.PhotoConverter(directory, names, max_side, max_pixels),
        options={
            "labels": labels,
            "max_side": max_side,
            "max_pixels": max_pixels,
            "min_side": photo_conversion.MIN_SIDE,
            "jpeg_quality": photo_conversion.JPEG_QUALITY,
        },
        labels=names,
        num_shards=num_shards,
        validation_fraction=validation_fraction,
        workers=workers,
        directory=directory,
        time_limit=max(_SECONDS, max_pixels / _PIXELS_PER_SECOND),
    )


def find_photos(directory, output):
    """Finds the photos of a folder and reports what else lay there.

    Returns:
      `inputs.Found`; files with a photo's extension count whatever they hold, so
      that they are set aside with a reason if they are no photos.
    """
    if not os.path.isdir(directory):
        raise UserError(f"--input={directory}: is no folder")
    found = inputs.find(directory, looks_like_photo, exclude=[output])
    print(
        f"{directory}: {len(found.keys)} photos; ignored {found.hidden} hidden and "
        f"{found.others} other files",
        file=sys.stderr,
    )
    for folder in found.unreadable:
        print(f"{folder}: cannot be listed", file=sys.stderr)
    if not found.keys:
        raise UserError(f"--input={directory}: no photos there or below")
    return found


def looks_like_photo(path):
    """Whether a file has a photo's extension or begins like one."""
    if path.lower().endswith(_EXTENSIONS):
        return True
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head.startswith(_SIGNATURES) or (head[:4], head[8:]) == (b"RIFF", b"WEBP")


def _class_names(directory, keys):
    folders = sorted({key.split(os.sep)[0] for key in keys if os.sep in key})
    if not folders:
        raise UserError(
            f"--labels={FOLDER_LABELS}: {directory} has no subfolder with photos"
        )
    return tuple(folders)
