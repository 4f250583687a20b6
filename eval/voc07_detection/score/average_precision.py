"""Average precision as the PASCAL VOC devkits compute it (paper section 5).

Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 2010,
section 4.2; `VOCevaldet.m` of the VOC 2007 devkit, `VOCap.m` of the later devkits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from selfsup.common import overrides
from selfsup.common.errors import UserError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Detections of each class: (image keys [D], confidences float [D], boxes float [D, 4]).
# Boxes are (xmin, ymin, xmax, ymax) in VOC's pixels, counted from 1, the last included.
ClassDetections = tuple[
    Sequence[str], npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]
]
Detections = Mapping[str, ClassDetections]
# True objects of each class by image key: (boxes float [N, 4], difficult bool [N]).
ImageObjects = tuple[npt.NDArray[np.floating[Any]], Booleans]
TrueObjects = dict[str, dict[str, ImageObjects]]


class _Objects(NamedTuple):
    """The true objects of a class in all I images, image after image.

    Attributes:
      images: index of each image by its key.
      first: index of each image's first object, int64 [I + 1].
      counts: number of objects of each image, int64 [I + 1]. The last entry serves all
        images without objects.
      boxes: float64 [N, 4].
      difficult: bool [N].
    """

    images: dict[str, int]
    first: Integers
    counts: Integers
    boxes: Floats
    difficult: Booleans


def mean_average_precision(
    detections: Mapping[str, ClassDetections],
    truth: Mapping[str, Mapping[str, ImageObjects]],
    iou: float,
    metric: str = "voc07",
) -> tuple[float, dict[str, float]]:
    """Scores the detections of all classes.

    A detection belongs to the object of its class and image that it overlaps most (the
    first of equals), if the overlap is at least `iou`. The most confident detection of an
    object is a hit. Other detections of the object, and detections without an object, are
    false alarms. Detections of a difficult object are neither, and difficult objects need
    not be detected. Detections of equal confidence keep their given order, as in the
    devkit.

    Args:
      detections: detections by class, see `Detections`. A missing class has no
        detections.
      truth: true objects by class, see `TrueObjects`.
      iou: smallest intersection over union of a hit, in (0, 1].
      metric: "voc07", the mean of the best precisions at recalls of at least 0, 0.1, ...,
        1, with the floating-point recalls of published tools; "voc07_exact", the same
        with recalls compared as fractions; or "area", the area under the curve of these
        precisions, VOC's metric from 2010 on.

    Returns:
      (mean over classes, average precision by class), in [0, 1]. Classes without any
      object that must be detected are in neither.

    Raises:
      UserError: for an unknown metric, a threshold out of range, numbers that are not
        finite, inverted boxes, a class that is not in `truth`, or nothing to detect.
    """
    summary = overrides.look_up("metric", metric, _METRICS)
    if not 0 < iou <= 1:
        raise UserError(f"iou={iou}: expected more than 0 and at most 1")
    unknown = sorted(set(detections) - set(truth))
    if unknown:
        raise UserError(f"detections of unknown classes: {', '.join(unknown)}")
    precisions = {}
    for name, images in truth.items():
        objects = _gather(images)
        positives = int(np.sum(~objects.difficult))
        if positives:
            nothing: ClassDetections = ([], np.zeros([0]), np.zeros([0, 4]))
            hits = _judge(name, detections.get(name, nothing), objects, iou)
            precisions[name] = summary(hits, positives)
    if not precisions:
        raise UserError("no class has an object that is not difficult: no precision")
    return float(np.mean(list(precisions.values()))), precisions


def _gather(images: Mapping[str, ImageObjects]) -> _Objects:
    """Concatenates the objects of all images."""
    boxes = [np.reshape(boxes, [-1, 4]) for boxes, _ in images.values()]
    counts = np.array([len(image_boxes) for image_boxes in boxes] + [0], np.int64)
    difficult = [np.reshape(difficult, [-1]) for _, difficult in images.values()]
    return _Objects(
        images={key: index for index, key in enumerate(images)},
        first=np.cumsum(counts) - counts,
        counts=counts,
        boxes=np.concatenate([np.zeros([0, 4]), *boxes]).astype(np.float64),
        difficult=np.concatenate([np.zeros([0]), *difficult]).astype(bool),
    )


def _judge(
    name: str, detections: ClassDetections, objects: _Objects, iou: float
) -> Booleans:
    """Decides which detections are hits, by decreasing confidence: bool [at most D].

    Detections of difficult objects are left out.
    """
    keys, confidences, boxes = _checked(name, *detections)
    order = np.argsort(-confidences, kind="stable")
    images = np.array([objects.images.get(key, -1) for key in keys], np.int64)[order]
    overlap, nearest = _most_overlapping(boxes[order], images, objects)
    near = overlap >= iou
    ignored = near.copy()
    ignored[near] = objects.difficult[nearest[near]]
    candidates = np.flatnonzero(near & ~ignored)
    _, most_confident = np.unique(nearest[candidates], return_index=True)
    hits = np.zeros(len(images), np.bool_)
    hits[candidates[most_confident]] = True
    return hits[~ignored]


def _checked(
    name: str, keys: Sequence[str], confidences: npt.ArrayLike, boxes: npt.ArrayLike
) -> tuple[Sequence[str], Floats, Floats]:
    confidences = np.asarray(confidences, np.float64).reshape([-1])
    boxes = np.asarray(boxes, np.float64).reshape([-1, 4])
    if not len(keys) == len(confidences) == len(boxes):
        raise UserError(
            f"detections of {name}: {len(keys)} image keys, {len(confidences)} "
            f"confidences and {len(boxes)} boxes; expected equal numbers"
        )
    if not (np.isfinite(confidences).all() and np.isfinite(boxes).all()):
        raise UserError(f"detections of {name}: have numbers that are not finite")
    if np.any(boxes[:, 2:] - boxes[:, :2] < -1):
        raise UserError(f"detections of {name}: a maximum lies below its minimum")
    return keys, confidences, boxes


def _most_overlapping(
    boxes: Floats, images: Integers, objects: _Objects
) -> tuple[Floats, Integers]:
    """Finds the object that each detection overlaps most.

    Args:
      boxes: float64 [D, 4].
      images: index of the image of each detection, int64 [D].
      objects: the objects.

    Returns:
      (overlap float64 [D], index of the object int64 [D]); 0 and 0 for detections in
      images without objects.
    """
    overlap, nearest = np.zeros(len(boxes)), np.zeros(len(boxes), np.int64)
    count = objects.counts[images]
    # All pairs of a detection and an object of its image, in one array.
    detection = np.repeat(np.arange(len(boxes)), count)
    nth = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count)
    other = objects.first[images][detection] + nth
    overlaps = intersection_over_union(boxes[detection], objects.boxes[other])
    order = np.lexsort((other, -overlaps, detection))
    paired, first = np.unique(detection[order], return_index=True)
    overlap[paired] = overlaps[order][first]
    nearest[paired] = other[order][first]
    return overlap, nearest


def intersection_over_union(boxes: Floats, others: Floats) -> Floats:
    """Overlap of P pairs of boxes that include their last pixel.

    Args:
      boxes, others: float64 [P, 4].

    Returns:
      float64 [P], in [0, 1].
    """
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, 2:], others[:, 2:])
    common: Floats = np.prod(np.maximum(high - low + 1.0, 0.0), axis=1)
    return common / (_area(boxes) + _area(others) - common)


def _area(boxes: Floats) -> Floats:
    area: Floats = np.prod(boxes[:, 2:] - boxes[:, :2] + 1.0, axis=1)
    return area


def _best_precisions(hits: Booleans) -> tuple[Integers, Floats]:
    """Returns (hits so far int64 [D], best precision with at least these hits)."""
    so_far: Integers = np.cumsum(hits, dtype=np.int64)
    precision = so_far / np.arange(1, len(hits) + 1)
    best: Floats = np.maximum.accumulate(precision[::-1])[::-1]
    return so_far, best


def _eleven_points(hits: Booleans, positives: int) -> float:
    """Mean of the best precision at recalls of at least 0, 0.1, ..., 1.

    Computed in float64 and in the order of the published code (`voc_ap` of
    py-faster-rcnn). Its recalls are multiples of 0.1 in floating point, and the fourth,
    seventh and eighth are slightly more than 0.3, 0.6 and 0.7: 9 of 15 objects do not
    reach 0.6.
    """
    so_far, best = _best_precisions(hits)
    first = np.searchsorted(so_far / float(positives), np.arange(11) * 0.1)
    mean = 0.0
    for precision in np.append(best, 0.0)[first]:
        mean += precision / 11.0
    return float(mean)


def _exact_eleven_points(hits: Booleans, positives: int) -> float:
    """Like `_eleven_points`, with recalls compared as fractions: 9 of 15 reach 0.6."""
    so_far, best = _best_precisions(hits)
    first = np.searchsorted(10 * so_far, np.arange(11) * positives)
    return float(np.append(best, 0.0)[first].sum() / 11)


def _area_under_curve(hits: Booleans, positives: int) -> float:
    """Sum over the hits of their best precision, each over a recall of 1 / positives."""
    _, best = _best_precisions(hits)
    return float(best[hits].sum() / positives)


_METRICS: dict[str, Callable[[Booleans, int], float]] = {
    "voc07": _eleven_points,
    "voc07_exact": _exact_eleven_points,
    "area": _area_under_curve,
}
METRICS = tuple(_METRICS)
