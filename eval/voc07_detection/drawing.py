"""Pictures of detections beside the true objects."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from eval import complete_pass
from eval.voc07_detection.box_conventions import Boxes
from eval.voc07_detection.dataset import Dataset, image_id
from eval.voc07_detection.score.average_precision import Detections
from eval.voc07_detection.testing import Results
from selfsup.common.png_file import save_png
from selfsup.data import records

_IMAGES = 12
_COLUMNS = 3
_HEIGHT, _WIDTH = 240, 320
_MARGIN = 4
# Weaker detections would hide the image.
_LEAST_SCORE = 0.3
_WHITE = (255, 255, 255)
_GRAY = (150, 150, 150)

Image = npt.NDArray[np.uint8]
Color = tuple[int, int, int]


def write(path: str, dataset: Dataset, results: Results) -> None:
    """Draws the first test images: true boxes at left, detections at right.

    Difficult objects are grey. Detections with a score below 0.3 are left out.

    Args:
      path: path of the PNG file.
      dataset: the data set.
      results: results of the test.
    """
    colors = dict(zip(dataset.classes, _colors(len(dataset.classes))))
    detections = _by_image(results.detections)
    tiles = []
    for serialized in complete_pass.serialized_records(dataset.test).take(_IMAGES):
        record = records.parse(serialized, (records.IMAGE,))
        image, name = record["image"].numpy(), image_id(record["key"].numpy())
        left, right = image.copy(), image.copy()
        for label, images in results.truth.items():
            if name in images:
                for box, difficult in zip(*images[name]):
                    color = _GRAY if difficult else colors[label]
                    _draw(left, box, label, color)
        for label, score, box in detections.get(name, ()):
            if score >= _LEAST_SCORE:
                _draw(right, box, f"{label} {score:.2f}", colors[label])
        tiles.append(np.concatenate([_tile(left), _tile(right)], axis=1))
    save_png(path, _grid(tiles))


def _colors(number: int) -> list[Color]:
    """Saturated colours (R, G, B) with evenly spaced hues."""
    hues = (np.arange(number) * 180 // max(number, 1)).astype(np.uint8)
    hsv = np.stack([hues, np.full_like(hues, 220), np.full_like(hues, 255)], -1)
    colors = cv2.cvtColor(hsv[np.newaxis], cv2.COLOR_HSV2RGB)[0]
    return [(int(red), int(green), int(blue)) for red, green, blue in colors]


def _by_image(
    detections: Detections,
) -> dict[str, list[tuple[str, float, Boxes]]]:
    """(class, score, box) of each image's detections, by increasing score.

    In this order, the most confident detections are drawn last, on top of the others.
    """
    rows: dict[str, list[tuple[str, float, Boxes]]] = {}
    for label, (images, scores, boxes) in detections.items():
        for image, score, box in zip(images, scores, boxes):
            rows.setdefault(image, []).append((label, float(score), box))
    return {
        image: sorted(image_rows, key=lambda row: row[1])
        for image, image_rows in rows.items()
    }


def _draw(image: Image, box: Boxes, text: str, color: Color) -> None:
    """Draws a labelled rectangle into `image`; `box` [4] is in VOC's convention."""
    xmin, ymin, xmax, ymax = (round(float(edge)) - 1 for edge in box)
    thickness = max(1, max(image.shape) // 250)
    cv2.rectangle(image, (xmin, ymin), (xmax, ymax), color, thickness)
    scale = max(image.shape) / 800
    place = (xmin + 2, max(ymin + round(14 * scale) + 2, 10))
    for ink, width in (((0, 0, 0), 2 * thickness + 1), (_WHITE, thickness)):
        cv2.putText(
            image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, width, cv2.LINE_AA
        )


def _tile(image: Image) -> Image:
    """Shrinks or enlarges the image into a tile of fixed size with a margin."""
    scale = min(_HEIGHT / image.shape[0], _WIDTH / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    tile = np.full((_HEIGHT + _MARGIN, _WIDTH + _MARGIN, 3), 255, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tile


def _grid(tiles: Sequence[Image]) -> Image:
    """Arranges tiles of equal size in rows; the last row is padded with white."""
    columns = min(_COLUMNS, len(tiles))
    missing = -len(tiles) % columns
    padded = [*tiles, *[np.full_like(tiles[0], 255)] * missing]
    rows = [
        np.concatenate(padded[first : first + columns], axis=1)
        for first in range(0, len(padded), columns)
    ]
    return np.concatenate(rows, axis=0)
