"""The true objects of a set of images, from a PASCAL VOC devkit's own files."""

import os
from typing import NamedTuple

import numpy as np

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.formats import voc_annotations, voc_lists

_ANNOTATIONS = "Annotations"
_LISTS = os.path.join("ImageSets", "Main")


class Truth(NamedTuple):
    """What is to be found in a set.

    Attributes:
      year: name of the year's folder, "VOC2007".
      images: {image id: None}, in the order of the list.
      objects: {class: {image id: (boxes float32 [N, 4], difficult bool [N])}}, classes
        sorted; boxes as of `mean_average_precision`. Of classes and images with
        objects alone.
      notes: what was corrected in the annotations, a text each.
    """

    year: str
    images: dict
    objects: dict
    notes: tuple


def read(devkit, set_name, year=""):
    """Reads the annotations of a set's images.

    Args:
      devkit: path of VOCdevkit, which holds years, or of a year's folder.
      set_name: of a list in `ImageSets/Main`, such as "test".
      year: which of several, "VOC2007" or "2007".

    Returns:
      a `Truth`.

    Raises:
      UserError: when something is missing, or an annotation cannot be used whole: an
        average precision over other objects would be another one.
    """
    folder = _year_folder(devkit, year)
    images = _image_ids(os.path.join(folder, _LISTS, f"{set_name}.txt"), folder)
    objects, notes = {}, []
    for image, name in images.items():
        path = os.path.join(folder, _ANNOTATIONS, f"{name}.xml")
        annotation = _annotation(path)
        notes += [f"{path}: {note.text}" for note in annotation.notes]
        for one in annotation.objects:
            objects.setdefault(one.name, {}).setdefault(image, []).append(one)
    if not objects:
        raise UserError(f"{folder}: no image of the set {set_name} has an object")
    arrays = {
        name: {image: _arrays(some) for image, some in objects[name].items()}
        for name in sorted(objects)
    }
    return Truth(os.path.basename(folder), images, arrays, tuple(notes))


def _year_folder(devkit, year):
    devkit = os.path.abspath(devkit)
    if not os.path.isdir(devkit):
        raise UserError(f"--devkit={devkit}: no such folder")
    wanted = f"VOC{year}" if year.isdigit() else year
    years = {
        name: os.path.join(devkit, name)
        for name in sorted(os.listdir(devkit))
        if os.path.isdir(os.path.join(devkit, name, _ANNOTATIONS))
    }
    if os.path.isdir(os.path.join(devkit, _ANNOTATIONS)):
        years = {os.path.basename(devkit): devkit}
    if not years:
        raise UserError(
            f"--devkit={devkit}: expected VOCdevkit, or a year's folder in it, with "
            f"{_ANNOTATIONS} and {_LISTS}"
        )
    known = ", ".join(years)
    if wanted and wanted not in years:
        raise UserError(
            f"--year={wanted}: is not in --devkit={devkit}, which has {known}"
        )
    if not wanted and len(years) > 1:
        raise UserError(f"--year: is needed, as --devkit={devkit} has {known}")
    return years[wanted or known]


def _image_ids(path, folder):
    """{image id as in results: as in file names} of a list file, each once."""
    try:
        with open(path, "rb") as file:
            names = voc_lists.parse_image_ids(file.read())
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such list; --set={os.path.basename(path)[:-4]} has to name "
            f"one of {', '.join(_list_names(folder)) or 'none: there is no list'}"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    ids = {files.as_utf8(name): name for name in names}
    if not ids:
        raise UserError(f"{path}: lists no image")
    return ids


def _list_names(folder):
    lists = os.path.join(folder, _LISTS)
    names = sorted(os.listdir(lists)) if os.path.isdir(lists) else []
    return [name[:-4] for name in names if name.endswith(".txt") and "_" not in name]


def _annotation(path):
    """The `Annotation` in a file, all of its objects usable."""
    try:
        with open(path, "rb") as file:
            # One more than what is read, so that too many are noticed.
            data = file.read(voc_annotations.MAX_BYTES + 1)
        annotation = voc_annotations.parse(data)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such annotation, but the image is in the list"
        ) from error
    except (OSError, voc_annotations.Unreadable) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    unusable = [n.text for n in annotation.notes if n.kind == voc_annotations.SET_ASIDE]
    if unusable:
        raise UserError(f"{path}: {unusable[0]}")
    return annotation


def _arrays(objects):
    """(boxes, difficult) of `voc_annotations.Object`s; VOC's pixels begin at 1."""
    boxes = [
        (xmin + 1, ymin + 1, xmax, ymax)
        for ymin, xmin, ymax, xmax in (one.box for one in objects)
    ]
    difficult = [one.difficult for one in objects]
    return np.array(boxes, np.float32), np.array(difficult, bool)
