"""Result files of the PASCAL VOC devkit's detection competitions.

One file per class, such as `comp3_det_test_dog.txt`, with one detection per line: image
id, confidence, xmin, ymin, xmax, ymax, in pixels counted from 1, the last pixel included.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from eval.voc07_detection.score.average_precision import ClassDetections, Detections
from selfsup.common import files
from selfsup.common.errors import UserError

# Detection with a model trained on VOC's own images; comp4 allows other images.
COMPETITION = "comp3"
# Nine digits are enough to read back the same float32.
_LINE = "%s %.9g %.9g %.9g %.9g %.9g\n"
_EXPECTED = "expected: image confidence xmin ymin xmax ymax"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

# Image id, confidence, xmin, ymin, xmax, ymax.
Row = tuple[str, float, float, float, float, float]


def file_name(set_name: str, class_name: str, competition: str = COMPETITION) -> str:
    """Name of the result file of a class."""
    return f"{competition}_det_{set_name}_{class_name}.txt"


def write(
    folder: str,
    set_name: str,
    detections: Detections,
    competition: str = COMPETITION,
) -> None:
    """Writes one file per class.

    Args:
      folder: folder of the files, which is made if necessary.
      set_name: name of the list in `ImageSets/Main`, such as "test".
      detections: detections of every class, see `average_precision.Detections`.
      competition: start of the names of the files.

    Raises:
      UserError: for an image id with blanks.
    """
    os.makedirs(folder, exist_ok=True)
    for name, (images, confidences, boxes) in detections.items():
        path = os.path.join(folder, file_name(set_name, name, competition))
        for image in images:
            if len(image.split()) != 1:
                raise UserError(f"{path}: cannot hold {image!r}: ids have no blanks")
        lines = (
            _LINE % (image, confidence, *box)
            for image, confidence, box in zip(images, confidences, boxes)
        )
        files.write_atomically(path, "".join(lines))


def read(
    folder: str,
    set_name: str,
    classes: Iterable[str],
    images: Collection[str] | None = None,
    competition: str = COMPETITION,
) -> Detections:
    """Reads the files of some classes.

    Args:
      folder: folder of the files; other files in it are ignored.
      set_name: name of the list in `ImageSets/Main`.
      classes: names of the classes.
      images: ids of the images of the set, or None to accept all ids.
      competition: start of the names of the files.

    Returns:
      detections by class, with confidences float64 [D] and boxes float64 [D, 4], in the
      order of each file.

    Raises:
      UserError: for missing files, with their names; for a bad line, with its number.
    """
    paths = {
        name: os.path.join(folder, file_name(set_name, name, competition))
        for name in classes
    }
    missing = [
        os.path.basename(path) for path in paths.values() if not os.path.isfile(path)
    ]
    if missing:
        raise UserError(
            f"{folder}: has no {', '.join(missing)}. A class without detections needs an "
            "empty file, and the option competition gives the start of the names"
        )
    return {name: _read(path, images) for name, path in paths.items()}


def _read(path: str, images: Collection[str] | None) -> ClassDetections:
    rows = []
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if words:
                try:
                    rows.append(_row(words, images))
                except ValueError as error:
                    raise UserError(f"{path}, line {number}: {error}") from None
    values = np.array([row[1:] for row in rows], np.float64).reshape([-1, 5])
    return [row[0] for row in rows], values[:, 0], values[:, 1:]


def _row(words: Sequence[str], images: Collection[str] | None) -> Row:
    """Parses the words of a line.

    Raises:
      ValueError: for a bad line.
    """
    if len(words) != 6:
        raise ValueError(f"has {len(words)} columns; {_EXPECTED}")
    image, *texts = words
    image = files.as_utf8(image)
    for text in texts:
        if not (_NUMBER.fullmatch(text) and math.isfinite(float(text))):
            raise ValueError(f"{text!r} is not a finite number; {_EXPECTED}")
    confidence, xmin, ymin, xmax, ymax = map(float, texts)
    if xmax - xmin < -1 or ymax - ymin < -1:
        raise ValueError(f"a maximum lies below its minimum; {_EXPECTED}")
    if images is not None and image not in images:
        raise ValueError(f"image {image!r} is not in the set")
    return image, confidence, xmin, ymin, xmax, ymax
