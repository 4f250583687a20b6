"""Builds a data set from a folder tree of photos; the library behind `photos`."""

import os

from data_prep.build import inputs, writer
from data_prep.media import image_formats
from data_prep.sources import photo_conversion
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

NO_LABELS = "none"
FOLDER_LABELS = "folders"

# A photo that takes longer is set aside; one of 100 million pixels takes seconds.
_SECONDS = 120
_PIXELS_PER_SECOND = 500_000


def build_photos(
    *,
    directory,
    output,
    labels=NO_LABELS,
    max_side=0,
    max_pixels=100_000_000,
    **build_options,
):
    """Builds or resumes a data set of photos.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      labels: "none", or "folders" to take the first folder level as the class.
      max_side: longer side above which photos are shrunk; 0 keeps all sizes.
      max_pixels: larger images are set aside.
      **build_options: as in `writer.build`.

    Returns:
      the `Manifest`.

    Raises:
      UserError: no photos there, or as `writer.build`.
    """
    names = _class_names(directory, output) if labels == FOLDER_LABELS else ()
    return writer.build(
        output=output,
        kind=manifests.PHOTOS,
        features=("image", "label") if names else ("image",),
        inputs=find_photos(directory, output),
        convert=photo_conversion.PhotoConverter(directory, names, max_side, max_pixels),
        options={
            "labels": labels,
            "max_side": max_side,
            "max_pixels": max_pixels,
            "min_side": photo_conversion.MIN_SIDE,
            "jpeg_quality": photo_conversion.JPEG_QUALITY,
        },
        labels=names,
        directory=directory,
        time_limit=time_limit(max_pixels),
        **build_options,
    )


def time_limit(max_pixels):
    """Seconds that a photo may take, of those up to `max_pixels`."""
    return max(_SECONDS, max_pixels / _PIXELS_PER_SECOND)


def find_photos(directory, output):
    """Yields the photos of a folder; reports what else lay there.

    Files with a photo's extension count whatever they hold, so that they are set aside
    with a reason if they are no photos.
    """
    return inputs.find_files(directory, output, looks_like_photo, "photos")


def looks_like_photo(path):
    """Whether a file has a photo's extension or begins like one."""
    if image_formats.has_photo_extension(path):
        return True
    try:
        with open(path, "rb") as file:
            return image_formats.begins_like_photo(file.read(image_formats.HEAD_BYTES))
    except OSError:
        return False


def _class_names(directory, output):
    found = inputs.find_files(directory, output, looks_like_photo, "photos", quiet=True)
    folders = sorted({key.split(os.sep)[0] for key in found if os.sep in key})
    if not folders:
        raise UserError(
            f"--labels={FOLDER_LABELS}: {directory} has no subfolder with photos"
        )
    return tuple(folders)
