"""Builds a data set of photos with depth from folders of photos and of depth images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_prep.build import dataset_build
from data_prep.sources.nyu import folder_conversion, folder_listing
from selfsup.data import manifest as manifests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import HoldOutOptions

_SECONDS = 120


def build_folders(
    *,
    rgb: str,
    depth_images: str,
    output: str,
    depth_unit: float = 0.001,
    invalid: Sequence[int] = (0, 65535),
    resize_depth: bool = False,
    split_list: str | None = None,
    min_valid: float = 0.01,
    **build_options: Unpack[HoldOutOptions],
) -> manifests.Manifest:
    """Builds a data set of photos with depth, or resumes an interrupted build.

    Args:
      rgb, depth_images: folders of the photos and of the depth images; may be the same.
      output: the folder for the shards.
      depth_unit: metres per step of the depth images.
      invalid: values that mean unknown depth; 0 always does.
      resize_depth: whether depth of another size than its photo is resized (nearest
        value) to the photo's size; otherwise the pair is set aside.
      split_list: text file with the split of each photo, see
        `folder_listing.read_split_list`; None holds out a share of the photos.
      min_valid: share of an image's pixels whose depth must be known.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest` of the finished data set.

    Raises:
      UserError: there are no pairs, or the list is faulty; or for a reason that
        `dataset_build.build` lists.
    """
    from data_prep.sources.photo_conversion import JPEG_QUALITY

    pairs = folder_listing.find_pairs(rgb, depth_images, output)
    splits = folder_listing.read_split_list(split_list, pairs) if split_list else None
    return dataset_build.build(
        output=output,
        kind=manifests.RGBD,
        features=("image", "depth"),
        inputs=folder_listing.list_inputs(pairs, splits, depth_images),
        convert=folder_conversion.FolderConverter(
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
        time_limit=_SECONDS,
        **build_options,
    )
