"""Result files of the PASCAL VOC devkit's detection competitions.

One file a class, `comp3_det_test_dog.txt`, one detection a line: image id, confidence,
xmin, ymin, xmax, ymax, in pixels counted from 1, the last one included.
"""

import math
import os
import re

import numpy as np

from selfsup.common import files
from selfsup.common.errors import UserError

# Detection with a model trained on VOC's own images; comp4 may use any.
COMPETITION = "comp3"
# What %.9g writes is read as the same float32.
_LINE = "%s %.9g %.9g %.9g %.9g %.9g\n"
_EXPECTED = "expected: image confidence xmin ymin xmax ymax"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def file_name(set_name, class_name, competition=COMPETITION):
    return f"{competition}_det_{set_name}_{class_name}.txt"


def write(folder, set_name, detections, competition=COMPETITION):
    """Writes a file for each class.

    Args:
      folder: where to; made if need be.
      set_name: of the list in `ImageSets/Main`, such as "test".
      detections: {class: (image ids [D], confidences float [D], boxes float [D, 4])},
        as of `mean_average_precision`, with an entry for each class.
      competition: what the names of the files begin with.

    Raises:
      UserError: for an image id with blanks in it.
    """
    os.makedirs(folder, exist_ok=True)
    for name, (images, confidences, boxes) in detections.items():
        path = os.path.join(folder, file_name(set_name, name, competition))
        for image in images:
            if len(image.split()) != 1:
                raise UserError(f"{path}: cannot have {image!r}: an id has no blanks")
        lines = (
            _LINE % (image, confidence, *box)
            for image, confidence, box in zip(images, confidences, boxes)
        )
        files.write_atomically(path, "".join(lines))


def read(folder, set_name, classes, images=None, competition=COMPETITION):
    """Reads the files of `classes`.

    Args:
      folder: where they are; other files there are left alone.
      set_name: of the list in `ImageSets/Main`.
      classes: names.
      images: container of the ids that there are, or None for any.
      competition: what the names of the files begin with.

    Returns:
      {class: (image ids [D], confidences float64 [D], boxes float64 [D, 4])}, in the
      order of `classes` and of each file.

    Raises:
      UserError: for missing files, listing them; for a line that is not as it should
        be, with its number.
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
            f"{folder}: has no {', '.join(missing)}; a class without detections has an "
            "empty file, and --competition says what their names begin with"
        )
    return {name: _read(path, images) for name, path in paths.items()}


def _read(path, images):
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


def _row(words, images):
    """(image id, confidence, xmin, ymin, xmax, ymax); a ValueError says why not."""
    if len(words) != 6:
        raise ValueError(f"has {len(words)} columns; {_EXPECTED}")
    image, *texts = words
    image = files.as_utf8(image)
    for text in texts:
        if not (_NUMBER.fullmatch(text) and math.isfinite(float(text))):
            raise ValueError(f"{text!r} is no finite number; {_EXPECTED}")
    confidence, xmin, ymin, xmax, ymax = map(float, texts)
    if xmax - xmin < -1 or ymax - ymin < -1:
        raise ValueError(f"a maximum lies below its minimum; {_EXPECTED}")
    if images is not None and image not in images:
        raise ValueError(f"image {image!r} is not in the set")
    return image, confidence, xmin, ymin, xmax, ymax
