"""Average precision as the PASCAL VOC devkits compute it (paper section 5).

Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 2010,
section 4.2; `VOCevaldet.m` of the VOC 2007 devkit, `VOCap.m` of the later ones.
"""

from typing import Any, NamedTuple

import numpy as np

from selfsup.common import overrides
from selfsup.common.errors import UserError


class _Objects(NamedTuple):
    """The true objects of a class, image after image.

    Attributes:
      places: {image key: the image's place in `first` and `count`}.
      first: int [I + 1], index of each image's first object.
      count: int [I + 1], objects of each image; the last place is for all images
        without objects.
      boxes: float64 [N, 4].
      difficult: bool [N].
    """

    places: dict
    first: Any
    count: Any
    boxes: Any
    difficult: Any


def mean_average_precision(detections, truth, iou, metric="voc07"):
    """Scores the detections of all classes.

    A detection belongs to the object of its class and image that it overlaps most, the
    first of equals, if the overlap is at least `iou`. The most confident detection of
    an object is a hit, others of it and those of no object are false alarms; those of
    a difficult object are neither, and difficult objects need not be found. Detections
    of equal confidence keep the order they are given in, as in the devkit.

    Args:
      detections: {class: (image keys [D], confidences float [D], boxes float [D, 4])}.
        Boxes are xmin, ymin, xmax, ymax in VOC's pixels, counted from 1, the last one
        included. A class that is not there has no detections.
      truth: {class: {image key: (boxes float [N, 4], difficult bool [N])}}.
      iou: least intersection over union of a hit, in (0, 1].
      metric: "voc07", the mean of the best precisions at recalls of at least 0, 0.1,
        ..., 1, with the published tools' floating-point recalls; "voc07_exact", the same
        with recalls compared as fractions; or "area", the area under the curve of those
        precisions, VOC's from 2010 on.

    Returns:
      (mean over classes, {class: average precision}), in [0, 1]. A class without any
      object that has to be found has no precision and is not in either.

    Raises:
      UserError: for an unknown metric, a threshold out of range, numbers that are not
        finite, inverted boxes, a class that `truth` has not, or nothing to be found.
    """
    summary = overrides.look_up("metric", metric, _METRICS)
    if not 0 < iou <= 1:
        raise UserError(f"iou: has to be over 0 and at most 1, got {iou}")
    unknown = sorted(set(detections) - set(truth))
    if unknown:
        raise UserError(f"detections of unknown classes: {', '.join(unknown)}")
    found = {}
    for name, images in truth.items():
        objects = _gather(images)
        positives = int(np.sum(~objects.difficult))
        if positives:
            hits = _judge(name, detections.get(name, ([], [], [])), objects, iou)
            found[name] = summary(hits, positives)
    if not found:
        raise UserError("no class has an object that is not difficult: no precision")
    return float(np.mean(list(found.values()))), found


def _gather(images):
    """The `_Objects` of {image key: (boxes, difficult)}."""
    boxes = [np.reshape(boxes, [-1, 4]) for boxes, _ in images.values()]
    count = np.array([len(one) for one in boxes] + [0], int)
    difficult = [np.reshape(difficult, [-1]) for _, difficult in images.values()]
    return _Objects(
        places={key: place for place, key in enumerate(images)},
        first=np.cumsum(count) - count,
        count=count,
        boxes=np.concatenate([np.zeros([0, 4]), *boxes]).astype(np.float64),
        difficult=np.concatenate([np.zeros([0]), *difficult]).astype(bool),
    )


def _judge(name, detections, objects, iou):
    """Which detections are hits, from the most confident on: bool [at most D].

    Those of difficult objects are left out.
    """
    keys, confidences, boxes = _checked(name, *detections)
    order = np.argsort(-confidences, kind="stable")
    images = np.array([objects.places.get(key, -1) for key in keys], int)[order]
    overlap, belongs = _most_overlapping(boxes[order], images, objects)
    near = overlap >= iou
    ignored = near.copy()
    ignored[near] = objects.difficult[belongs[near]]
    candidates = np.flatnonzero(near & ~ignored)
    _, most_confident = np.unique(belongs[candidates], return_index=True)
    hits = np.zeros(len(images), bool)
    hits[candidates[most_confident]] = True
    return hits[~ignored]


def _checked(name, keys, confidences, boxes):
    confidences = np.asarray(confidences, np.float64).reshape([-1])
    boxes = np.asarray(boxes, np.float64).reshape([-1, 4])
    if not len(keys) == len(confidences) == len(boxes):
        raise UserError(
            f"detections of {name}: {len(keys)} image keys, {len(confidences)} "
            f"confidences and {len(boxes)} boxes; expected as many of each"
        )
    if not (np.isfinite(confidences).all() and np.isfinite(boxes).all()):
        raise UserError(f"detections of {name}: have numbers that are not finite")
    if np.any(boxes[:, 2:] - boxes[:, :2] < -1):
        raise UserError(f"detections of {name}: a maximum lies below its minimum")
    return keys, confidences, boxes


def _most_overlapping(boxes, images, objects):
    """The object that each detection overlaps most.

    Args:
      boxes: float64 [D, 4].
      images: int [D], places in `objects.count`.
      objects: `_Objects`.

    Returns:
      (overlap float64 [D], index of the object int [D]); 0 and 0 for detections in
      images without objects.
    """
    overlap, belongs = np.zeros(len(boxes)), np.zeros(len(boxes), int)
    count = objects.count[images]
    # All pairs of a detection and an object of its image, in one list.
    detection = np.repeat(np.arange(len(boxes)), count)
    nth = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count)
    other = objects.first[images][detection] + nth
    overlaps = intersection_over_union(boxes[detection], objects.boxes[other])
    order = np.lexsort((other, -overlaps, detection))
    seen, first = np.unique(detection[order], return_index=True)
    overlap[seen] = overlaps[order][first]
    belongs[seen] = other[order][first]
    return overlap, belongs


def intersection_over_union(boxes, others):
    """Of boxes that include their last pixel: float64 [P, 4] twice -> float64 [P]."""
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, 2:], others[:, 2:])
    common = np.prod(np.maximum(high - low + 1.0, 0.0), axis=1)
    return common / (_area(boxes) + _area(others) - common)


def _area(boxes):
    return np.prod(boxes[:, 2:] - boxes[:, :2] + 1.0, axis=1)


def _best_precisions(hits):
    """(hits so far int [D], best precision at as many hits or more float64 [D])."""
    so_far = np.cumsum(hits)
    precision = so_far / np.arange(1, len(hits) + 1)
    return so_far, np.maximum.accumulate(precision[::-1])[::-1]


def _eleven_points(hits, positives):
    """The mean over recalls 0, 0.1, ..., 1 of the best precision from there on.

    All in float64, in the order of the published code (`voc_ap` of py-faster-rcnn): the
    recalls asked for are multiples of 0.1, of which the fourth, the seventh and the
    eighth are a little more than 0.3, 0.6 and 0.7. 9 of 15 objects do not reach 0.6.
    """
    so_far, best = _best_precisions(hits)
    first = np.searchsorted(so_far / float(positives), np.arange(11) * 0.1)
    mean = 0.0
    for precision in np.append(best, 0.0)[first]:
        mean += precision / 11.0
    return float(mean)


def _exact_eleven_points(hits, positives):
    """As `_eleven_points`, with recalls compared as fractions: 9 of 15 reach 0.6."""
    so_far, best = _best_precisions(hits)
    first = np.searchsorted(10 * so_far, np.arange(11) * positives)
    return float(np.append(best, 0.0)[first].sum() / 11)


def _area_under_curve(hits, positives):
    """Each hit adds 1 / positives to the recall, at its best precision."""
    _, best = _best_precisions(hits)
    return float(best[hits].sum() / positives)


_METRICS = {
    "voc07": _eleven_points,
    "voc07_exact": _exact_eleven_points,
    "area": _area_under_curve,
}
METRICS = tuple(_METRICS)
