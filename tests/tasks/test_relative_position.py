from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.images import patches
from selfsup.keras import keras
from selfsup.tasks import relative_position
from selfsup.tasks.patch_pairs import DIRECTIONS, adjacent_pairs
from selfsup.tasks.relative_position import RelativePosition, RelativePositionConfig

FEATURES = (72, 12, 12, 1024)
# The tiny task has two grids of 2x3 patches.
PAIRS, LABELS = adjacent_pairs(2, 3)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 3), (3, 3), (4, 2)])
def test_every_ordered_pair_of_neighbours_is_listed_once(rows, columns):
    pairs, labels = adjacent_pairs(rows, columns)
    expected = {}
    for first in range(rows * columns):
        for second in range(rows * columns):
            down = second // columns - first // columns
            right = second % columns - first % columns
            if first != second and abs(down) <= 1 and abs(right) <= 1:
                expected[first, second] = DIRECTIONS.index((down, right))
    assert dict(zip(map(tuple, pairs), labels)) == expected
    assert len(pairs) == len(expected)
    sides = rows * (columns - 1) + (rows - 1) * columns
    assert len(pairs) == 2 * (sides + 2 * (rows - 1) * (columns - 1))
    assert len(set(DIRECTIONS)) == 8 and set(labels) == set(range(8))


def _originals_counts(height, width, photos):
    """Mean number of patches and pairs per photo in the original training code.

    github.com/cdoersch/deepcontext, train.py: the photo is resized to a random area.
    Then each of four grids has all the cells that fit to the right of and below a
    random origin.
    """
    rng = random.Random(0)
    patches_taken = pairs_taken = 0
    for _ in range(photos):
        scale = (rng.randint(150_000, 450_000) / (height * width)) ** 0.5
        for _ in range(4):
            counts = []
            for side in (int(height * scale), int(width * scale)):
                origin = rng.randint(0, 143)
                counts.append((side + 48 - origin) // 144)
            patches_taken += counts[0] * counts[1]
            pairs_taken += len(adjacent_pairs(*counts)[0])
    return patches_taken / photos, pairs_taken / photos


@pytest.mark.parametrize("size", [(375, 500), (500, 375)])
def test_a_photo_has_about_as_many_pairs_as_in_the_original(size):
    """A photo has 36 patches and 160 pairs; in the original code about 39 and 181."""
    task = RelativePosition()
    example = task.preprocess_example(_coordinate_record(*size), tf.constant([1, 2]))
    assert example["patches"].shape == (4, 9, 96, 96, 3)
    assert task.config.patches_per_photo == 4 * 9 == 36
    assert task.config.pairs_per_photo == 4 * 40 == 160
    originals = _originals_counts(*size, photos=5000)
    assert originals == pytest.approx((39.5, 181.3), rel=0.015)


def _coordinate_record(height, width):
    """A photo whose red and green values encode row and column."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([255 * y / height, 255 * x / width, 0 * x + 128], axis=-1)
    return {"encoded": tf.io.encode_png(image.astype(np.uint8))}


@pytest.mark.parametrize("size", [(375, 500), (60, 40), (700, 300), (512, 512)])
def test_labels_are_the_directions_of_the_second_patch(tiny, size, monkeypatch):
    task = tiny(
        "relative_position", resample_probability=0.0, normalize_patches="never"
    )
    seeds = [tf.constant([7, n]) for n in range(3)]
    examples = [task.preprocess_example(_coordinate_record(*size), s) for s in seeds]
    cut = tf.stack([example["patches"] for example in examples])
    # Color dropping would hide the coordinates.
    monkeypatch.setattr(
        relative_position.color, "drop_colors", lambda images, seed: images
    )
    images, targets = task.preprocess_batch({"patches": cut}, tf.constant([1, 1]))
    places = tf.reduce_mean(images, axis=[1, 2])[:, :2].numpy().reshape(3, 2, 6, 2)
    labels = targets["labels"].numpy().reshape(3, 2, len(PAIRS))
    for photo in range(3):
        for grid in range(2):
            centres = places[photo, grid]
            # Neighbouring cells are 48 pixels apart, plus or minus 6 by jitter.
            steps = np.ptp(centres, axis=0) / [1, 2]
            for (first, second), label in zip(PAIRS, labels[photo, grid]):
                offset = (centres[second] - centres[first]) / steps
                assert tuple(np.round(offset).astype(int)) == DIRECTIONS[label]


def _head_input(head_patches, channels=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(head_patches, 4, 4, channels)).astype(np.float32)


@pytest.fixture
def head(tiny):
    keras.utils.set_random_seed(3)
    return tiny("relative_position").build_head()


@pytest.mark.parametrize("training", [False, True])
def test_head_treats_photos_and_grids_alike(head, training):
    features = _head_input(3 * 2 * 6)
    logits = head(features, training=training).numpy()
    assert logits.shape == (3, 2 * len(PAIRS), 8)
    order = np.array([4, 1, 5, 0, 3, 2])
    grids = features.reshape(6, 6, 4, 4, 8)[order].reshape(36, 4, 4, 8)
    np.testing.assert_allclose(
        head(grids, training=training).numpy().reshape(6, len(PAIRS), 8),
        logits.reshape(6, len(PAIRS), 8)[order],
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.parametrize("training", [False, True])
def test_head_does_not_know_the_position_of_pairs_in_the_batch(head, training):
    """Outputs move with the patches, so the network cannot exploit the order of pairs.

    This includes batch statistics, which do not depend on the order.
    """
    features = _head_input(2 * 6)
    logits = head(features, training=training).numpy()[0]
    grid = np.arange(6).reshape(2, 3)
    index = {tuple(pair): place for place, pair in enumerate(PAIRS)}
    for cells in (grid[::-1], grid[:, ::-1], grid[::-1, ::-1]):
        cells = cells.ravel()
        moved = head(
            features[np.concatenate([cells, 6 + cells])], training=training
        ).numpy()[0]
        for place, (first, second) in enumerate(PAIRS):
            same = logits[index[cells[first], cells[second]]]
            np.testing.assert_allclose(moved[place], same, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "columns", "accuracy"), [(3, 3, 6 / 40), (2, 2, 2 / 12), (2, 3, 4 / 22)]
)
def test_chance_is_the_best_constant_prediction(tiny, rows, columns, accuracy):
    task = tiny("relative_position", grid_rows=rows, grid_columns=columns)
    _, labels = adjacent_pairs(rows, columns)
    targets = {"labels": tf.constant(np.tile(labels, (3, 2)))}
    chance = {name: float(value) for name, value in task.chance(targets).items()}
    assert chance["accuracy"] == pytest.approx(accuracy)
    best = 0.0
    for direction in range(8):
        right = sum(label == direction for label in labels) / len(labels)
        best = max(best, right)
    assert chance["accuracy"] == pytest.approx(best)
    # No constant distribution has a smaller cross-entropy than the labels' own.
    shape = (*targets["labels"].shape, 8)
    own = np.log([np.mean(labels == direction) for direction in range(8)])
    rng = np.random.default_rng(0)
    others = [own + 0.1 * rng.normal(size=8) for _ in range(5)] + [np.zeros(8)]
    scores = [
        float(task.loss(tf.broadcast_to(tf.constant(row, tf.float32), shape), targets))
        for row in [own, *others]
    ]
    assert chance["cross_entropy"] == pytest.approx(scores[0], rel=1e-5)
    assert min(scores[1:]) > scores[0]


def test_identical_patches_score_no_more_than_chance(tiny, head):
    task = tiny("relative_position")
    features = np.repeat(_head_input(1), 12, axis=0)
    targets = {"labels": tf.constant(np.tile(LABELS, (1, 2)))}
    outputs = head(features)
    named = np.argmax(outputs[0, 0])
    share = np.mean(named == LABELS)
    accuracy = float(task.metrics(outputs, targets)["accuracy"])
    assert accuracy == pytest.approx(share)
    assert accuracy <= float(task.chance(targets)["accuracy"]) + 1e-6


def test_loss_equals_loops_and_does_not_depend_on_label_order(tiny):
    rng = np.random.default_rng(0)
    task = tiny("relative_position")
    logits = rng.normal(size=(3, 44, 8)).astype(np.float32)
    labels = np.tile(LABELS, (3, 2))
    total = 0.0
    for image in range(3):
        for pair in range(44):
            row = logits[image, pair].astype(float)
            total -= row[labels[image, pair]] - np.log(np.exp(row).sum())
    loss = task.loss(tf.constant(logits), {"labels": tf.constant(labels)})
    assert float(loss) == pytest.approx(total / 132, rel=1e-5)
    names = rng.permutation(8)
    renamed = np.empty_like(logits)
    renamed[..., names] = logits
    again = task.loss(
        tf.constant(renamed), {"labels": tf.constant(names[labels].astype(np.int32))}
    )
    assert float(again) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize(
    ("harmonize", "option", "normalized"),
    [
        (False, "color_dropping", True),
        (False, "always", True),
        (True, "color_dropping", False),
        (True, "always", True),
    ],
)
def test_patches_are_normalized_as_configured(
    tiny, batch_of, harmonize, option, normalized
):
    plain = tiny("relative_position", harmonize=harmonize, normalize_patches="never")
    asked = tiny("relative_position", harmonize=harmonize, normalize_patches=option)
    examples, seed = batch_of(plain), tf.constant([1, 2])
    images, _ = plain.preprocess_batch(examples, seed)
    again, _ = asked.preprocess_batch(examples, seed)
    if normalized:
        assert np.abs(again - images).mean() > 0.05
        images = patches.normalize(images)
    np.testing.assert_allclose(again, images, atol=1e-5)


def test_pictures_show_a_pair_for_each_direction(tiny, batch_of):
    task = tiny("relative_position")
    images, targets = task.preprocess_batch(batch_of(task), tf.constant([1, 2]))
    labels = targets["labels"].numpy()
    right = 9 * np.eye(8, dtype=np.float32)[labels]
    shape = set()
    for outputs, color, other in (
        (right, (40, 180, 70), (220, 50, 40)),
        (np.roll(right, 1, axis=-1), (220, 50, 40), (40, 180, 70)),
    ):
        picture = task.pictures(images.numpy(), outputs, {"labels": labels})["pairs"]
        shape.add(picture.shape)
        assert np.any(np.all(picture == color, axis=-1))
        assert not np.any(np.all(picture == other, axis=-1))
        # A board per direction and photo, with the frame of the second patch.
        rows = np.split(picture[12:], 4)
        for row in rows:
            for direction, board in zip(DIRECTIONS, np.split(row[:, 12:], 8, axis=1)):
                y, x = np.nonzero(np.all(board == color, axis=-1))
                middle = (np.array(board.shape[:2]) - 12) / 2
                side = (y.mean() - middle[0], x.mean() - middle[1])
                assert tuple(np.sign(np.round(side, -1)).astype(int)) == direction
    assert len(shape) == 1


def test_harmonized_patches_are_gray_and_plain_ones_are_not(tiny, batch_of):
    for harmonize in (False, True):
        task = tiny("relative_position", harmonize=harmonize)
        images, _ = task.preprocess_batch(batch_of(task), tf.constant([1, 2]))
        spread = np.ptp(images.numpy(), axis=-1).mean()
        assert (spread < 1e-5) == harmonize


def test_parameters_of_the_head(count_parameters):
    """61,161,480 weights, of which the first projection has 42.5 million."""
    trained, moving = count_parameters(RelativePosition().build_head(), FEATURES)
    unit1 = 1024 * 128 + 9 * 128 * 128 + 128 * 1024 + 1024
    unit2 = 1024 * 128 + 9 * 128 * 128 + 128 * 512 + 512 + (1024 * 512 + 512)
    projection = 9216 * 4608 + 4608
    fc1 = 9216 * 512 + 512 * 512 + 512 * 4608 + 4608 + projection
    fc = 4608 * 512 + 512 * 512 + 512 * 4608 + 4608
    norms = (1024 + 2 * 128) * 2 + (9216 + 2 * 512) + 2 * (4608 + 2 * 512) + 4608
    logits = 4608 * 8 + 8
    assert trained == unit1 + unit2 + fc1 + 2 * fc + 2 * norms + logits
    assert moving == 2 * norms
    assert projection == pytest.approx(42.5e6, rel=1e-3)
    assert trained == 61_161_480


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_size", 90),
        ("normalize_patches", "sometimes"),
        ("grids", 0),
        ("grid_rows", 1),
        ("grid_columns", 1),
        ("gap", -1),
        ("jitter", -1),
        ("resample_smallest", 0),
        ("min_pixels", 500_000),
    ],
)
def test_bad_values_are_refused_by_name(key, value):
    config = dataclasses.replace(RelativePositionConfig(), **{key: value})
    with pytest.raises(UserError, match=rf"relative_position\.{key}={value}: expected"):
        RelativePosition(config)


def test_a_grid_that_is_larger_than_photos_is_refused():
    expected = r"max_pixels=450000: .*grid_rows=6 and grid_columns=5 has 830x686 pixels"
    with pytest.raises(UserError, match=expected):
        RelativePosition(RelativePositionConfig(grid_rows=6, grid_columns=5))
