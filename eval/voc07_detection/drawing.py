"""Pictures of detections beside the truth."""

import cv2
import numpy as np

from eval import complete_pass
from eval.voc07_detection.dataset import image_id
from selfsup.common.png_file import save_png
from selfsup.data import records

_IMAGES = 12
_COLUMNS = 3
_HEIGHT, _WIDTH = 240, 320
_MARGIN = 4
# Below the threshold of what a viewer would call found there is too much to see.
_LEAST_SCORE = 0.3
_WHITE = (255, 255, 255)
_GRAY = (150, 150, 150)


def write(path, dataset, tested):
    """Draws the first test images: true boxes at left, detections at right.

    Difficult objects are gray. Detections below a score of 0.3 are left out.

    Args:
      path: of a PNG.
      dataset: a `Dataset`.
      tested: a `Tested`.
    """
    colors = dict(zip(dataset.classes, _colors(len(dataset.classes))))
    found = _by_image(tested.detections)
    tiles = []
    for serialized in complete_pass.serialized_records(dataset.test).take(_IMAGES):
        record = records.parse(serialized, (records.IMAGE,))
        image, name = record["image"].numpy(), image_id(record["key"].numpy())
        left, right = image.copy(), image.copy()
        for label, (boxes, difficult) in _of_image(tested.truth, name):
            for box, hard in zip(boxes, difficult):
                _draw(left, box, label, _GRAY if hard else colors[label])
        for label, score, box in found.get(name, ()):
            if score >= _LEAST_SCORE:
                _draw(right, box, f"{label} {score:.2f}", colors[label])
        tiles.append(np.concatenate([_tile(left), _tile(right)], axis=1))
    save_png(path, _grid(tiles))


def _colors(number):
    hues = (np.arange(number) * 180 // max(number, 1)).astype(np.uint8)
    hsv = np.stack([hues, np.full_like(hues, 220), np.full_like(hues, 255)], -1)
    colors = cv2.cvtColor(hsv[np.newaxis], cv2.COLOR_HSV2RGB)[0]
    return [tuple(map(int, color)) for color in colors]


def _by_image(detections):
    found = {}
    for label, (images, scores, boxes) in detections.items():
        for image, score, box in zip(images, scores, boxes):
            found.setdefault(image, []).append((label, score, box))
    # The surest last, on top.
    return {
        image: sorted(rows, key=lambda row: row[1]) for image, rows in found.items()
    }


def _of_image(truth, image):
    return [(label, of[image]) for label, of in truth.items() if image in of]


def _draw(image, box, text, color):
    """A rectangle with its label on `image`, changed in place; `box` in VOC's pixels."""
    xmin, ymin, xmax, ymax = (round(float(edge)) - 1 for edge in box)
    thickness = max(1, max(image.shape) // 250)
    cv2.rectangle(image, (xmin, ymin), (xmax, ymax), color, thickness)
    scale = max(image.shape) / 800
    place = (xmin + 2, max(ymin + round(14 * scale) + 2, 10))
    for ink, width in (((0, 0, 0), 2 * thickness + 1), (_WHITE, thickness)):
        cv2.putText(
            image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, width, cv2.LINE_AA
        )


def _tile(image):
    """The image in a tile of one size, with a margin."""
    scale = min(_HEIGHT / image.shape[0], _WIDTH / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    tile = np.full((_HEIGHT + _MARGIN, _WIDTH + _MARGIN, 3), 255, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tile


def _grid(tiles):
    missing = -len(tiles) % min(_COLUMNS, len(tiles))
    tiles = tiles + [np.full_like(tiles[0], 255)] * missing
    columns = min(_COLUMNS, len(tiles))
    rows = [
        np.concatenate(tiles[first : first + columns], axis=1)
        for first in range(0, len(tiles), columns)
    ]
    return np.concatenate(rows, axis=0)
