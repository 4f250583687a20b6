"""Builds a data set from a folder of photos, searched recursively."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_prep.build import dataset_build
from data_prep.sources import photo_conversion, photo_listing
from selfsup.data import manifest as manifests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import HoldOutOptions

NO_LABELS = "none"
FOLDER_LABELS = "folders"


def build_photos(
    *,
    directory: str,
    output: str,
    labels: str = NO_LABELS,
    max_side: int = 0,
    max_pixels: int = photo_conversion.MAX_PIXELS,
    **build_options: Unpack[HoldOutOptions],
) -> manifests.Manifest:
    """Builds a data set of photos, or resumes an interrupted build.

    Args:
      directory: the input folder.
      output: the folder for the shards.
      labels: "none", or "folders" if the first-level subfolders name the classes.
      max_side: photos whose longer side exceeds this are shrunk; 0 keeps all sizes.
      max_pixels: images with more pixels are set aside.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest` of the finished data set.

    Raises:
      UserError: the folder holds no photos, or no subfolder with photos when they should
        name the classes; or for a reason that `dataset_build.build` lists.
    """
    names: tuple[str, ...] = ()
    if labels == FOLDER_LABELS:
        names = photo_listing.find_class_names(directory, output)
    return dataset_build.build(
        output=output,
        kind=manifests.PHOTOS,
        features=("image", "label") if names else ("image",),
        inputs=photo_listing.find_photos(directory, output),
        convert=photo_conversion.PhotoConverter(directory, names, max_side, max_pixels),
        options={
            "labels": labels,
            **photo_conversion.describe_options(max_side, max_pixels),
        },
        labels=names,
        directory=directory,
        time_limit=photo_conversion.time_limit(max_pixels),
        **build_options,
    )
