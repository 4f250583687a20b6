"""Finds the photos below a folder, and the classes that its subfolders name."""

from __future__ import annotations

import os
from collections.abc import Iterator

from data_prep.build import inputs
from data_prep.media import image_formats
from selfsup.common.errors import UserError


def find_photos(directory: str, output: str, quiet: bool = False) -> Iterator[str]:
    """Yields the paths of all photos below a folder, relative to the folder.

    A file with a photo's extension counts as a photo in any case. If it cannot be
    decoded, the builder sets it aside and reports the reason.

    Args:
      directory: the input folder, searched recursively.
      output: the builder's output folder, which is skipped.
      quiet: whether to omit the report on skipped files.

    Raises:
      UserError: `directory` is not a folder, or holds no photo.
    """
    return inputs.find_files(directory, output, looks_like_photo, "photos", quiet)


def looks_like_photo(path: str) -> bool:
    """Whether a file has a photo's extension or begins with a photo's signature."""
    if image_formats.has_photo_extension(path):
        return True
    try:
        with open(path, "rb") as file:
            return image_formats.begins_like_photo(file.read(image_formats.HEAD_BYTES))
    except OSError:
        return False


def find_class_names(directory: str, output: str) -> tuple[str, ...]:
    """Returns the sorted names of the first-level subfolders that contain photos.

    Args:
      directory: the input folder.
      output: the builder's output folder, which is skipped.

    Raises:
      UserError: `directory` has no subfolder with photos.
    """
    paths = find_photos(directory, output, quiet=True)
    names = {path.split(os.sep)[0] for path in paths if os.sep in path}
    if not names:
        raise UserError(f"{directory} has no subfolder with photos to name the classes")
    return tuple(sorted(names))
