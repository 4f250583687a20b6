"""Reads the true objects of a set of images from a PASCAL VOC devkit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eval.voc07_detection.score.average_precision import ImageObjects, TrueObjects
from selfsup.common import files
from selfsup.common.errors import SettingError, UserError, error_reason
from selfsup.formats import voc_annotations, voc_lists

_ANNOTATIONS = "Annotations"
_LISTS = os.path.join("ImageSets", "Main")


class Truth(NamedTuple):
    """The true objects of a set.

    Attributes:
      year: name of the year's folder, "VOC2007".
      images: ids of the images, in the order of the list.
      objects: objects by class (sorted) and image; only classes and images with objects.
      notes: corrections of the annotations, a text each.
    """

    year: str
    images: tuple[str, ...]
    objects: TrueObjects
    notes: tuple[str, ...]


def read(devkit: str, set_name: str, year: str = "") -> Truth:
    """Reads the annotations of the images of a set.

    Args:
      devkit: path of VOCdevkit, which holds years, or of the folder of a year.
      set_name: name of a list in `ImageSets/Main`, such as "test".
      year: "VOC2007" or "2007", to choose among several years.

    Raises:
      UserError: when a file is missing, or an annotation cannot be used completely,
        because the average precision depends on all objects.
    """
    folder = _year_folder(devkit, year)
    images = _image_ids(os.path.join(folder, _LISTS, f"{set_name}.txt"), folder)
    objects: dict[str, dict[str, list[voc_annotations.Object]]] = {}
    notes = []
    for image, name in images.items():
        path = os.path.join(folder, _ANNOTATIONS, f"{name}.xml")
        annotation = _annotation(path)
        notes += [f"{path}: {note.text}" for note in annotation.notes]
        for annotated in annotation.objects:
            objects.setdefault(annotated.name, {}).setdefault(image, []).append(
                annotated
            )
    if not objects:
        raise UserError(f"{folder}: no image of the set {set_name} has an object")
    arrays = {
        name: {image: _arrays(group) for image, group in objects[name].items()}
        for name in sorted(objects)
    }
    return Truth(os.path.basename(folder), tuple(images), arrays, tuple(notes))


def _year_folder(devkit: str, year: str) -> str:
    devkit = os.path.abspath(devkit)
    if not os.path.isdir(devkit):
        raise SettingError(f"devkit={devkit}", "no such folder")
    wanted = f"VOC{year}" if year.isdigit() else year
    years = {
        name: os.path.join(devkit, name)
        for name in sorted(os.listdir(devkit))
        if os.path.isdir(os.path.join(devkit, name, _ANNOTATIONS))
    }
    if os.path.isdir(os.path.join(devkit, _ANNOTATIONS)):
        years = {os.path.basename(devkit): devkit}
    if not years:
        raise SettingError(
            f"devkit={devkit}",
            "expected VOCdevkit, or the folder of a year in it, with "
            f"{_ANNOTATIONS} and {_LISTS}",
        )
    known = ", ".join(years)
    if wanted and wanted not in years:
        raise SettingError(
            f"year={wanted}", f"is not in devkit={devkit}, which has {known}"
        )
    if not wanted and len(years) > 1:
        raise SettingError("year", f"is required, because devkit={devkit} has {known}")
    return years[wanted or known]


def _image_ids(path: str, folder: str) -> dict[str, str]:
    """Reads a list file: names of annotation files by image id, each id once."""
    try:
        with open(path, "rb") as file:
            names = voc_lists.parse_image_ids(file.read())
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such list; set={os.path.basename(path)[:-4]} must name one "
            f"of {', '.join(_list_names(folder)) or 'none: there is no list'}"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
    ids = {files.as_utf8(name): name for name in names}
    if not ids:
        raise UserError(f"{path}: lists no image")
    return ids


def _list_names(folder: str) -> list[str]:
    lists = os.path.join(folder, _LISTS)
    names = sorted(os.listdir(lists)) if os.path.isdir(lists) else []
    return [name[:-4] for name in names if name.endswith(".txt") and "_" not in name]


def _annotation(path: str) -> voc_annotations.Annotation:
    """Reads an annotation file, all of whose objects can be used."""
    try:
        with open(path, "rb") as file:
            # One byte more than the limit, so that the parser notices larger files.
            data = file.read(voc_annotations.MAX_BYTES + 1)
        annotation = voc_annotations.parse(data)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such annotation, but the image is in the list"
        ) from error
    except (OSError, voc_annotations.Unreadable) as error:
        raise UserError(f"{path}: cannot be read: {error_reason(error)}") from error
    unusable = [n.text for n in annotation.notes if n.kind == voc_annotations.SET_ASIDE]
    if unusable:
        raise UserError(f"{path}: {unusable[0]}")
    return annotation


def _arrays(objects: Sequence[voc_annotations.Object]) -> ImageObjects:
    """Boxes float32 [N, 4] in VOC's pixels, which begin at 1, and difficult bool [N]."""
    boxes = []
    for annotated in objects:
        ymin, xmin, ymax, xmax = annotated.box
        boxes.append((xmin + 1, ymin + 1, xmax, ymax))
    difficult = [annotated.difficult for annotated in objects]
    return np.array(boxes, np.float32), np.array(difficult, bool)
