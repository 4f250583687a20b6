"""Builds a data set of images with boxes from a VOC devkit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_prep.build import dataset_build
from data_prep.sources import photo_conversion, voc_classes, voc_conversion, voc_listing
from selfsup.data import manifest as manifests
from selfsup.formats import voc_devkit, voc_splits

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from data_prep.sources.build_options import BuildOptions

_SECONDS = 120


def build_voc(
    *,
    inputs: Sequence[str],
    output: str,
    year: str = "",
    splits: Sequence[str] = (),
    classes: str = "",
    **build_options: Unpack[BuildOptions],
) -> manifests.Manifest:
    """Builds a data set of images with boxes, or resumes an interrupted build.

    Args:
      inputs: paths of folders and tars that together contain the devkit.
      output: the folder for the shards.
      year: "VOC2007" or "2007"; "" if the inputs contain a single year.
      splits: which of "train", "val", "trainval" and "test" to build; if empty, all that
        the devkit has.
      classes: class names, see `voc_classes.choose_classes`.
      **build_options: see `dataset_build.build`.

    Returns:
      the `Manifest` of the finished data set.

    Raises:
      UserError: the inputs contain no devkit, or lack what the other arguments name; or
        for a reason that `dataset_build.build` lists.
    """
    requested = voc_splits.parse_splits(splits)
    devkit = voc_devkit.find(inputs, year)
    assigned = voc_splits.assign(devkit.lists)
    plan = voc_listing.plan_splits(devkit, assigned, requested, required=bool(splits))
    images = {
        image: assignment
        for image, assignment in assigned.items()
        if assignment.split in plan.splits
    }
    labels = voc_classes.choose_classes(classes, devkit, assigned)
    print(voc_listing.describe(devkit, images, assigned), file=sys.stderr)
    return dataset_build.build(
        output=output,
        kind=manifests.OBJECTS,
        features=("image", "boxes"),
        inputs=voc_listing.list_inputs(devkit, images, plan.without_annotations),
        convert=voc_conversion.VocConverter(labels),
        options={
            "year": devkit.name,
            "splits": plan.splits,
            "splits_without_annotations": plan.without_annotations,
            "min_side": photo_conversion.MIN_SIDE,
            "jpeg_quality": photo_conversion.JPEG_QUALITY,
        },
        labels=labels,
        containers=devkit.containers,
        time_limit=_SECONDS,
        **build_options,
    )
