"""Builds ILSVRC2012, or any data set of labelled photos in class folders."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from data_prep.build import dataset_build
from data_prep.sources import (
    class_folders,
    imagenet_conversion,
    imagenet_listing,
    photo_conversion,
)
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import HoldOutOptions

# Names of folders that hold a whole split. A class is never called by one of them.
_SPLIT_NAMES = {"train", "val", "valid", "validation", "test"}


def build_imagenet(
    *,
    train: str,
    output: str,
    validation: str = "",
    validation_labels: str = "",
    synsets: str = "",
    max_side: int = 0,
    max_pixels: int = photo_conversion.MAX_PIXELS,
    **build_options: Unpack[HoldOutOptions],
) -> manifests.Manifest:
    """Builds a data set of labelled photos, or resumes an interrupted build.

    Args:
      train: the training photos: a folder of class folders, a tar file of class folders,
        or a tar file with one tar per class.
      output: the folder for the shards.
      validation: the held-out photos, in the same form as `train` or without class
        folders; "" holds out a share of `train`.
      validation_labels, synsets: labels of validation photos without class folders; see
        `imagenet_labels.read_ground_truth`.
      max_side: photos whose longer side exceeds this are shrunk; 0 keeps all sizes.
      max_pixels: images with more pixels are set aside.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest`; its labels are the sorted names of the class folders of `train`.

    Raises:
      UserError: the files do not fit each other; or for a reason that `dataset_build.build`
        lists.
    """
    source = class_folders.open_source(train, [output])
    labels = _class_names(source)
    held_out = imagenet_listing.open_held_out(
        validation, validation_labels, synsets, output, labels
    )
    sources = {imagenet_listing.TRAIN: source}
    if held_out is not None:
        sources[imagenet_listing.VALIDATION] = held_out.source
    return dataset_build.build(
        output=output,
        kind=manifests.PHOTOS,
        features=("image", "label"),
        inputs=imagenet_listing.list_inputs(source, held_out, labels),
        convert=imagenet_conversion.ImageNetConverter(sources, max_side, max_pixels),
        options=photo_conversion.describe_options(max_side, max_pixels),
        labels=labels,
        containers=[source.path for source in sources.values()],
        time_limit=photo_conversion.time_limit(max_pixels),
        **build_options,
    )


def _class_names(source: class_folders.PhotoSource) -> tuple[str, ...]:
    labels = source.classes
    if len(labels) < 2 or set(labels) <= _SPLIT_NAMES:
        content = ", ".join(labels) or "no folder of photos"
        raise UserError(
            f"{source.path}: holds {content}; expected two or more class folders "
            "(n01440764, ...) directly in it, or a tar file of one tar per class"
        )
    print(f"{source.path}: {len(labels)} classes", file=sys.stderr)
    return labels
