"""Lists the images of a VOC devkit, by split."""

from __future__ import annotations

import collections
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from data_prep.build.inputs import Input
from data_prep.sources import voc_conversion
from selfsup.common.errors import UserError
from selfsup.formats import voc_splits
from selfsup.formats.voc_devkit import Devkit
from selfsup.formats.voc_splits import Assignment


class SplitPlan(NamedTuple):
    """The splits that a build makes.

    Attributes:
      splits: names of all splits to build.
      without_annotations: those of them that have no annotations, so no boxes.
    """

    splits: tuple[str, ...]
    without_annotations: tuple[str, ...]


def plan_splits(
    devkit: Devkit,
    assigned: Mapping[str, Assignment],
    requested: Sequence[str],
    required: bool,
) -> SplitPlan:
    """Chooses the splits that a devkit allows to build; reports the others on stderr.

    Args:
      devkit: the devkit.
      assigned: the split of each listed image, from `voc_splits.assign`.
      requested: names of the splits to build.
      required: whether the user named the splits. If so, a split without a list is an
        error, and a test split without annotations is built. Otherwise such splits are
        left out.

    Raises:
      UserError: a required split has no list, or no split has one.
    """
    splits = _splits_with_lists(devkit, requested, required)
    if "test" not in splits or _has_annotated_test(devkit, assigned):
        return SplitPlan(splits, ())
    # The annotations of some test sets, such as VOC2012's, were never published.
    if required:
        print(
            f"{devkit.name}: the test split has no annotations, so it gets no boxes",
            file=sys.stderr,
        )
        return SplitPlan(splits, ("test",))
    print(
        f"{devkit.name}: no test split, because its annotations are missing; if named in "
        "splits, it is built without boxes",
        file=sys.stderr,
    )
    return SplitPlan(tuple(split for split in splits if split != "test"), ())


def _splits_with_lists(
    devkit: Devkit, requested: Sequence[str], required: bool
) -> tuple[str, ...]:
    missing = voc_splits.explain_missing(devkit.lists, requested)
    for split, reason in missing.items():
        if required:
            raise UserError(f"{devkit.name}: no {split} split: {reason}")
        print(f"{devkit.name}: no {split} split: {reason}", file=sys.stderr)
    splits = tuple(split for split in requested if split not in missing)
    if not splits:
        raise UserError(f"{devkit.name}: has no lists in ImageSets/Main")
    return splits


def _has_annotated_test(devkit: Devkit, assigned: Mapping[str, Assignment]) -> bool:
    """Whether a test image has an annotation, or there are no test images."""
    test = {image for image, item in assigned.items() if item.split == "test"}
    return not test or not test.isdisjoint(devkit.annotations)


def list_inputs(
    devkit: Devkit,
    images: Mapping[str, Assignment],
    without_annotations: Collection[str],
) -> Iterator[Input]:
    """Yields an `Input` for each image, including unusable images.

    Args:
      devkit: the devkit.
      images: the split of each image to build.
      without_annotations: names of the splits that need no annotations.
    """
    for image, (split, problem) in images.items():
        photo = devkit.images.get(image)
        annotation = devkit.annotations.get(image)
        if not problem and photo is None:
            problem = f"JPEGImages has no image {image}"
        if not problem and annotation is None and split not in without_annotations:
            problem = f"Annotations has no {image}.xml"
        detail = voc_conversion.detail(photo, annotation, problem)
        yield Input(f"{devkit.name}/{image}", split, detail)


def describe(
    devkit: Devkit,
    images: Mapping[str, Assignment],
    assigned: Mapping[str, Assignment],
) -> str:
    """Returns a line of text with the number of images per split.

    Args:
      devkit: the devkit.
      images: the split of each image to build.
      assigned: the split of each listed image.
    """
    counts = collections.Counter(assignment.split for assignment in images.values())
    numbers = ", ".join(f"{count} {split}" for split, count in counts.items())
    unlisted = len(devkit.images.keys() - assigned.keys())
    return f"{devkit.name}: {numbers} images; {unlisted} others are in no list"
