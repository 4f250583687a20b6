"""Average precision: published cases, hand-worked ones, a slow reference, invariances."""

import math
from fractions import Fraction

import numpy as np
import pytest

from eval.voc07_detection.score.average_precision import mean_average_precision
from selfsup.common.errors import UserError

# The worked example of Padilla et al., "A Survey on Performance Metrics for
# Object-Detection Algorithms" (IWSSIP 2020), as their public tool documents it: image,
# (confidence,) left, top, width, height.
PADILLA_TRUTH = """
    1 25 16 38 56    1 129 123 41 62   2 123 11 43 55    2 38 132 59 45   3 16 14 35 48
    3 123 30 49 44   3 99 139 47 47    4 53 42 40 52     4 154 43 31 34   5 59 31 44 51
    5 48 128 34 52   6 36 89 52 76     6 62 58 44 67     7 28 31 55 63    7 58 67 50 58
"""
PADILLA_DETECTIONS = """
    1 .88 5 67 31 48     1 .70 119 111 40 67  1 .80 124 9 49 67   2 .71 64 111 64 58
    2 .54 26 140 60 47   2 .74 19 18 43 35    3 .18 109 15 77 39  3 .67 86 63 46 45
    3 .38 160 62 36 53   3 .91 105 131 47 47  3 .44 18 148 40 44  4 .35 83 28 28 26
    4 .78 28 68 42 67    4 .45 87 89 25 39    4 .14 10 155 60 26  5 .62 50 38 28 46
    5 .44 95 11 53 28    5 .95 29 131 72 29   5 .23 29 163 72 29  6 .45 43 48 74 38
    6 .84 17 155 29 35   6 .43 95 110 25 42   7 .48 16 20 101 88  7 .95 33 116 37 49
"""


def _table(text, columns):
    """(images, columns between, boxes) of a text of numbers."""
    rows = np.array(text.split(), np.float64).reshape([-1, columns])
    corners = np.concatenate([rows[:, -4:-2], rows[:, -4:-2] + rows[:, -2:]], axis=1)
    return rows[:, 0].astype(int), rows[:, 1:-4], corners


def _one_class(images, difficult=None):
    """Truth of one class from {image: boxes}."""
    difficult = difficult or {}
    return {
        "dog": {
            image: (
                np.array(boxes, np.float32),
                np.array(difficult.get(image, [False] * len(boxes)), bool),
            )
            for image, boxes in images.items()
        }
    }


def _detected(*rows):
    """Detections of one class from (image, confidence, box)."""
    images, confidences, boxes = zip(*rows)
    return {"dog": (list(images), np.float32(confidences), np.float32(boxes))}


@pytest.mark.parametrize(
    ("metric", "iou", "published"),
    [
        ("voc07", 0.3, 0.2684),
        ("area", 0.3, 0.2457),
        # 9 of the 15 objects are detected: a recall of 0.6.
        ("voc07", 0.1, 0.3333),
        ("voc07_exact", 0.1, 0.3689),
    ],
)
def test_padilla_et_al(metric, iou, published):
    images, _, boxes = _table(PADILLA_TRUTH, 5)
    truth = _one_class({image: boxes[images == image] for image in set(images)})
    images, confidences, boxes = _table(PADILLA_DETECTIONS, 6)
    detections = {"dog": (list(images), confidences[:, 0], boxes)}
    mean, _ = mean_average_precision(detections, truth, iou, metric)
    assert mean == pytest.approx(published, abs=5e-5)


APART = [(100 * n + 1, 1, 100 * n + 50, 50) for n in range(15)]
FAR = (5000, 5000, 5050, 5050)


def _ranked(hits, objects):
    """Truth of some objects, and detections that are hits or not, best first."""
    truth = _one_class({"a": APART[:objects]})
    left = iter(APART[:objects])
    rows = [
        ("a", 0.99 - 0.01 * rank, next(left) if hit else FAR)
        for rank, hit in enumerate(hits)
    ]
    return _detected(*rows), truth


def test_hui():
    """Ten detections of five apples: J. Hui, "mAP for Object Detection" (2018)."""
    detections, truth = _ranked([1, 1, 0, 0, 0, 1, 1, 0, 0, 1], objects=5)
    mean, _ = mean_average_precision(detections, truth, 0.5)
    assert mean == pytest.approx((5 * 1.0 + 4 * 4 / 7 + 2 * 0.5) / 11)
    mean, _ = mean_average_precision(detections, truth, 0.5, "area")
    assert mean == pytest.approx((2 * 1.0 + 2 * 4 / 7 + 0.5) / 5)


@pytest.mark.parametrize(
    ("hits", "objects", "published", "exact"),
    [
        (0, 10, 0, 0),
        (1, 10, 2, 2),
        # 3 * 0.1, 6 * 0.1 and 7 * 0.1 are more than 0.3, 0.6 and 0.7 in floating point.
        (3, 10, 3, 4),
        (6, 10, 6, 7),
        (7, 10, 7, 8),
        (8, 10, 9, 9),
        (10, 10, 11, 11),
        (9, 15, 6, 7),
        (12, 15, 9, 9),
    ],
)
def test_recalls_in_floating_point_and_exact(hits, objects, published, exact):
    """The number of the 11 recalls that these hits reach."""
    detections, truth = _ranked([1] * hits + [0], objects=objects)
    mean, _ = mean_average_precision(detections, truth, 0.5)
    assert mean == pytest.approx(published / 11)
    mean, _ = mean_average_precision(detections, truth, 0.5, "voc07_exact")
    assert mean == pytest.approx(exact / 11)


def test_last_pixel_counts():
    """10x10 and 10x5 pixels: IoU is exactly one half, which is enough."""
    truth = _one_class({"a": [(1, 1, 10, 10)]})
    for xmax, precision in [(5, 1.0), (4, 0.0)]:
        detections = _detected(("a", 0.5, (1, 1, xmax, 10)))
        assert mean_average_precision(detections, truth, 0.5, "area")[0] == precision


def test_touching_boxes_share_a_pixel():
    truth = _one_class({"a": [(1, 1, 10, 10)]})
    for corner, precision in [(10, 1.0), (11, 0.0)]:
        detections = _detected(("a", 0.5, (corner, corner, corner, corner)))
        mean, _ = mean_average_precision(detections, truth, 0.01)
        assert mean == pytest.approx(precision)


def test_second_detection_of_an_object_is_false():
    box, other = APART[:2]
    truth = _one_class({"a": [box, other]})
    detections = _detected(("a", 0.9, box), ("a", 0.8, box), ("a", 0.7, other))
    mean, _ = mean_average_precision(detections, truth, 0.5, "area")
    assert mean == pytest.approx((1 + 2 / 3) / 2)


def test_only_the_nearest_object_counts():
    """As in the devkit: a detected object is not replaced by the next nearest."""
    near, next_nearest = (1, 1, 100, 100), (1, 11, 100, 110)
    truth = _one_class({"a": [near, next_nearest]})
    detections = _detected(("a", 0.9, near), ("a", 0.8, (1, 3, 100, 102)))
    mean, _ = mean_average_precision(detections, truth, 0.5, "area")
    assert mean == pytest.approx(1 / 2)


def test_difficult_objects_are_neither_hit_nor_missed():
    easy, hard = APART[:2]
    truth = _one_class({"a": [easy, hard]}, {"a": [False, True]})
    detections = _detected(("a", 0.9, hard), ("a", 0.8, hard), ("a", 0.7, easy))
    assert mean_average_precision(detections, truth, 0.5)[0] == pytest.approx(1.0)


def test_equal_confidences_keep_their_order():
    box = APART[0]
    truth = _one_class({"a": [box]})
    for rows, precision in [((box, FAR), 1.0), ((FAR, box), 0.5)]:
        detections = _detected(*[("a", 0.5, row) for row in rows])
        assert mean_average_precision(detections, truth, 0.5, "area")[0] == precision


def test_images_without_objects_have_false_alarms():
    truth = _one_class({"a": [APART[0]], "b": np.zeros([0, 4])})
    rows = [("b", 0.9, APART[0]), ("c", 0.8, APART[0]), ("a", 0.7, APART[0])]
    mean, _ = mean_average_precision(_detected(*rows), truth, 0.5, "area")
    assert mean == pytest.approx(1 / 3)


def test_classes_without_objects_to_find_are_left_out():
    truth = {
        "dog": _one_class({"a": [APART[0]]})["dog"],
        "cat": _one_class({"a": [APART[0]]}, {"a": [True]})["dog"],
        "cow": {},
        "hen": _one_class({"a": [APART[1]]})["dog"],
    }
    detections = _detected(("a", 0.5, APART[0]))
    detections["cow"] = detections["dog"]
    mean, precisions = mean_average_precision(detections, truth, 0.5)
    # Eleven elevenths, added up as published tools do.
    assert precisions == {"dog": pytest.approx(1.0), "hen": 0.0}
    assert mean == pytest.approx(0.5)


def _iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return Fraction(0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return Fraction(width * height, sum(areas) - width * height)


def _reference_curve(rows, images, iou):
    """[(recall, precision)] after each judged detection, in the order of VOCevaldet.m."""
    taken, hits, misses, curve = set(), 0, 0, []
    positives = sum(not hard for objects in images.values() for _, hard in objects)
    for image, _, box in sorted(rows, key=lambda row: -row[1]):
        best, nearest = Fraction(0), None
        for place, (other, hard) in enumerate(images.get(image, [])):
            if _iou(box, other) > best:
                best, nearest = _iou(box, other), (image, place, hard)
        if nearest is None or best < iou:
            misses += 1
        elif nearest[2]:
            continue
        elif nearest in taken:
            misses += 1
        else:
            taken.add(nearest)
            hits += 1
        curve.append((Fraction(hits, positives), Fraction(hits, hits + misses)))
    return curve


def _published_voc07(curve):
    """The 11 points as published tools compute them, step by step in float64.

    For each of the thresholds t = i * 0.1: the largest precision at a recall of at least
    t, or 0 where none is; a hundredth of these is not rounded. py-faster-rcnn's `voc_ap`
    with `use_07_metric`, and those made after it, agree to the last bit.
    """
    mean = 0.0
    for i in range(11):
        threshold, largest = i * 0.1, 0.0
        for recall, precision in curve:
            reached = float(recall.numerator) / float(recall.denominator)
            if reached >= threshold:
                largest = max(largest, precision.numerator / precision.denominator)
        mean = mean + largest / 11.0
    return mean


def _exact_voc07(curve):
    points = [
        max((p for r, p in curve if r >= Fraction(tenth, 10)), default=Fraction(0))
        for tenth in range(11)
    ]
    return float(sum(points) / 11)


def _reference_area(curve):
    """VOCap.m: the precision made monotone, then the sum over steps of recall."""
    recall = [Fraction(0), *(r for r, _ in curve), Fraction(1)]
    precision = [Fraction(0), *(p for _, p in curve), Fraction(0)]
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return float(sum((b - a) * p for a, b, p in zip(recall, recall[1:], precision[1:])))


def _random_box(rng):
    low = rng.integers(1, 8, 2)
    return tuple(int(value) for value in [*low, *(low + rng.integers(0, 8, 2))])


def _random_case(rng):
    """(rows, images): few places, sizes and confidences, so that all ties happen."""
    images = {
        image: [(_random_box(rng), bool(rng.random() < 0.3)) for _ in range(count)]
        for image, count in enumerate(rng.integers(0, 5, 4))
    }
    images[9] = [(_random_box(rng), False)]
    boxes = [box for objects in images.values() for box, _ in objects]
    rows = [
        (
            int(rng.choice([0, 1, 2, 3, 7, 9])),
            int(rng.integers(0, 12)) / 16,
            boxes[rng.integers(len(boxes))] if rng.random() < 0.5 else _random_box(rng),
        )
        for _ in range(rng.integers(0, 40))
    ]
    return rows, images


def _as_arguments(rows, images):
    truth = _one_class(
        {image: [box for box, _ in objects] for image, objects in images.items()},
        {image: [hard for _, hard in objects] for image, objects in images.items()},
    )
    return (_detected(*rows) if rows else {}), truth


def test_slow_reference():
    rng = np.random.default_rng(0)
    above_zero = 0
    for _ in range(250):
        rows, images = _random_case(rng)
        detections, truth = _as_arguments(rows, images)
        iou = rng.choice([0.25, 0.3, 0.5, 0.6, 0.75, 1.0])
        curve = _reference_curve(rows, images, Fraction(str(iou)))
        for metric, reference in [
            ("voc07_exact", _exact_voc07),
            ("area", _reference_area),
        ]:
            mean, _ = mean_average_precision(detections, truth, iou, metric)
            assert mean == pytest.approx(reference(curve), abs=1e-12)
            above_zero += mean > 0
        mean, _ = mean_average_precision(detections, truth, iou, "voc07")
        # To the last bit: numbers are compared across tools.
        assert mean == _published_voc07(curve)
    assert above_zero > 250


def test_published_and_exact_recalls_against_references():
    """Many objects and few false alarms: recalls of exactly 0.3, 0.6 and 0.7 happen."""
    rng = np.random.default_rng(3)
    differ = 0
    for _ in range(60):
        objects = int(rng.choice([5, 10, 15]))
        hits = list(rng.permutation([1] * int(rng.integers(0, objects + 1)) + [0] * 3))
        detections, truth = _ranked(hits, objects)
        so_far = np.cumsum(hits)
        curve = [
            (Fraction(int(hits), objects), Fraction(int(hits), rank))
            for rank, hits in enumerate(so_far, start=1)
        ]
        published, _ = mean_average_precision(detections, truth, 0.5, "voc07")
        exact, _ = mean_average_precision(detections, truth, 0.5, "voc07_exact")
        assert published == _published_voc07(curve)
        assert exact == pytest.approx(_exact_voc07(curve), abs=1e-12)
        assert published <= exact + 1e-12
        differ += published < exact - 1e-6
    assert differ > 10


def test_invariances():
    """The order of images and detections, and the scale of the confidence."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows, images = _random_case(rng)
        rows = [(image, rng.random(), box) for image, _, box in rows] or [
            (9, 0.5, images[9][0][0])
        ]
        expected = mean_average_precision(*_as_arguments(rows, images), 0.5)
        shuffled = [rows[place] for place in rng.permutation(len(rows))]
        mapped = [(i, math.log(c + 1e-9) * 40 - 3, box) for i, c, box in shuffled]
        turned = dict(reversed(images.items()))
        assert mean_average_precision(*_as_arguments(mapped, turned), 0.5) == expected


def test_more_precise_detections_do_not_score_less():
    rng = np.random.default_rng(2)
    for _ in range(50):
        detections, truth = _as_arguments(*_random_case(rng))
        scores = [mean_average_precision(detections, truth, iou)[0] for iou in (0.3, 1)]
        assert scores[0] >= scores[1]


BOX = [APART[0]]
TRUTH = _one_class({"a": BOX})


@pytest.mark.parametrize(
    ("detections", "options", "message"),
    [
        ({"cat": (["a"], [0.5], BOX)}, {}, "unknown classes: cat"),
        ({"dog": (["a"], [math.nan], BOX)}, {}, "not finite"),
        ({"dog": (["a"], [0.5], [(1, 1, math.inf, 2)])}, {}, "not finite"),
        ({"dog": (["a"], [0.5], [(9, 1, 7, 5)])}, {}, "below its minimum"),
        ({"dog": (["a", "b"], [0.5], BOX)}, {}, "2 image keys, 1 confidences and 1"),
        ({}, {"iou": 0.0}, "iou=0.0: expected more than 0"),
        ({}, {"iou": 50}, "iou=50: expected"),
        ({}, {"metric": "coco"}, "unknown 'coco'; known: area, voc07, voc07_exact"),
        ({}, {"truth": {"dog": {}}}, "no class has an object"),
    ],
)
def test_bad_input(detections, options, message):
    options = {"truth": TRUTH, "iou": 0.5, **options}
    with pytest.raises(UserError, match=message):
        mean_average_precision(detections, **options)
