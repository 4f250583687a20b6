"""Chooses the classes of a data set that is built from a VOC devkit."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from data_prep.build.shards import SetAside
from data_prep.sources import voc_conversion
from selfsup.common.errors import UserError, error_reason
from selfsup.formats.voc_devkit import Devkit, Location

# In the devkit's order, which is the order of the class indices.
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant",
    "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
FOUND = "found"
_NAMES_SHOWN = 10


def choose_classes(
    option: str, devkit: Devkit, images: Iterable[str]
) -> tuple[str, ...]:
    """Returns the class names that an option selects, in the order of class indices.

    The annotations of all listed images count, so that sets built from single splits have
    the same classes.

    Args:
      option: "a,b,c" or "@FILE" (a name per line) for these names; "found" for all names
        in the annotations, sorted; "" for VOC's 20 classes.
      devkit: the devkit.
      images: ids of all listed images.

    Raises:
      UserError: the option is faulty; no object is annotated; or the option is "" and the
        annotations have classes that VOC has not.
    """
    if option and option != FOUND:
        return _parse_names(option)
    counts = count_names(devkit.annotations, images)
    if not counts:
        raise UserError(
            f"{devkit.name}: no annotation of the listed images has objects"
        )
    if option == FOUND:
        return tuple(sorted(counts))
    others = [name for name, _ in counts.most_common() if name not in VOC_CLASSES]
    if others:
        listed = ", ".join(f"{name} ({counts[name]})" for name in others[:_NAMES_SHOWN])
        raise UserError(
            f"{devkit.name}: has objects of {len(others)} classes that are not VOC's: "
            f"{listed}; set classes to {FOUND!r} to take all annotated classes, or to "
            "a,b,c to leave all other classes out"
        )
    return VOC_CLASSES


def _parse_names(option: str) -> tuple[str, ...]:
    if option.startswith("@"):
        try:
            with open(option[1:], encoding="utf-8-sig") as file:
                words = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{option[1:]}: cannot be read: {error_reason(error)}"
            ) from error
    else:
        words = option.split(",")
    names = tuple(word.strip() for word in words if word.strip())
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UserError(f"classes={option}: {repeated[0]} is listed twice")
    if not names:
        raise UserError(f"classes={option}: names no class")
    return names


def count_names(
    annotations: Mapping[str, Location], images: Iterable[str]
) -> collections.Counter[str]:
    """Counts the objects of each class in the annotations of some images.

    Unreadable annotations are skipped; the conversion sets their images aside.

    Args:
      annotations: {image id: `Location`}.
      images: image ids; an image may have no annotation.
    """
    counts: collections.Counter[str] = collections.Counter()
    for image in images:
        try:
            annotation = voc_conversion.read_annotation(annotations.get(image))
        except (SetAside, OSError):
            continue
        if annotation is not None:
            counts.update(thing.name for thing in annotation.objects)
    return counts
