import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from selfsup.errors import UserError
from selfsup.tasks import relative_position
from selfsup.tasks.relative_position import (
    ARRANGEMENTS,
    DIRECTIONS,
    LABELS,
    PAIRS,
    Config,
    RelativePosition,
)

FEATURES = (8, 12, 12, 1024)


def test_every_image_asks_each_of_the_eight_directions_once():
    assert len(set(DIRECTIONS)) == 8 and (0, 0) not in DIRECTIONS
    for labels in LABELS:
        assert sorted(labels) == list(range(8))


def test_every_patch_feeds_four_pairs():
    for slot in range(4):
        assert sum(slot in pair for pair in PAIRS) == 4


def test_arrangements_are_the_symmetries_of_the_block():
    block = np.arange(4).reshape(2, 2)
    turned = [np.rot90(block, k) for k in range(4)]
    expected = {tuple(b.ravel()) for t in turned for b in (t, t.T)}
    assert set(ARRANGEMENTS) == expected and len(ARRANGEMENTS) == 8


def test_no_place_in_the_batch_has_a_fixed_answer():
    for pair in range(8):
        assert len(set(LABELS[:, pair])) == 4


def _coordinate_record(height, width):
    """A photo whose red and green tell the row and the column."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([255 * y / height, 255 * x / width, 0 * x + 128], axis=-1)
    return {"encoded": tf.io.encode_png(image.astype(np.uint8))}


@pytest.mark.parametrize("size", [(375, 500), (60, 40), (700, 300), (512, 512)])
def test_labels_tell_where_the_second_patch_lies(tiny, size):
    task = tiny("relative_position", resample_probability=0.0)
    seeds = [tf.constant([7, n]) for n in range(6)]
    examples = [task.preprocess_example(_coordinate_record(*size), s) for s in seeds]
    blocks = tf.stack([example["patches"] for example in examples])
    # Color dropping would hide the coordinates.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            relative_position.color, "drop_colors", lambda images, seed: images
        )
        images, targets = task.preprocess_batch(
            {"patches": blocks}, tf.constant([1, 1])
        )
    places = tf.reduce_mean(images, axis=[1, 2])[:, :2].numpy().reshape(6, 4, 2)
    for block, labels in zip(places, targets["labels"].numpy()):
        # A step between cells is 48 pixels, of which jitter takes or adds 6 at most.
        steps = np.ptp(block, axis=0)
        for (first, second), label in zip(PAIRS, labels):
            offset = (block[second] - block[first]) / steps
            assert tuple(np.round(offset).astype(int)) == DIRECTIONS[label]


def _head_input(head_patches, channels=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(head_patches, 4, 4, channels)).astype(np.float32)


@pytest.fixture
def head(tiny):
    tf.keras.utils.set_random_seed(3)
    return tiny("relative_position").build_head()


def test_head_treats_images_alike(head):
    features = _head_input(12)
    logits = head(features).numpy()
    assert logits.shape == (3, 8, 8)
    order = [2, 0, 1]
    shuffled = features.reshape(3, 4, 4, 4, 8)[order].reshape(12, 4, 4, 8)
    np.testing.assert_allclose(head(shuffled), logits[order], rtol=1e-4, atol=1e-5)


def test_head_answers_pairs_without_knowing_their_index(head):
    """Patches that change slots take their answers to the pairs' new places."""
    features = _head_input(4)
    logits = head(features).numpy()[0]
    for cells in ARRANGEMENTS:
        moved = head(features[list(cells)]).numpy()[0]
        for place, (first, second) in enumerate(PAIRS):
            pair = (cells[first], cells[second])
            if pair in PAIRS:
                same = logits[PAIRS.index(pair)]
                np.testing.assert_allclose(moved[place], same, rtol=1e-4, atol=1e-5)


def test_identical_patches_score_exactly_chance(tiny, head):
    task = tiny("relative_position")
    features = np.repeat(_head_input(1), 4, axis=0)
    targets = {"labels": tf.constant(LABELS[:1])}
    metrics = task.metrics(head(features), targets)
    assert (
        float(metrics["accuracy"]) == 1 / 8 == float(task.chance(targets)["accuracy"])
    )


def test_loss_by_loops_and_relabelling(tiny):
    rng = np.random.default_rng(0)
    task = tiny("relative_position")
    logits = rng.normal(size=(3, 8, 8)).astype(np.float32)
    labels = LABELS[[0, 3, 5]]
    total = 0.0
    for image in range(3):
        for pair in range(8):
            row = logits[image, pair].astype(float)
            total -= row[labels[image, pair]] - np.log(np.exp(row).sum())
    loss = task.loss(tf.constant(logits), {"labels": tf.constant(labels)})
    assert float(loss) == pytest.approx(total / 24, rel=1e-5)
    names = rng.permutation(8)
    renamed = np.empty_like(logits)
    renamed[..., names] = logits
    again = task.loss(
        tf.constant(renamed), {"labels": tf.constant(names[labels].astype(np.int32))}
    )
    assert float(again) == pytest.approx(float(loss), rel=1e-6)


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


def test_paper_sizes_are_the_defaults():
    task = RelativePosition()
    example = task.preprocess_example(_coordinate_record(375, 500), tf.constant([1, 2]))
    assert example["patches"].shape == (4, 96, 96, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_size", 90),
        ("gap", -1),
        ("jitter", -1),
        ("resample_smallest", 0),
        ("min_pixels", 500_000),
    ],
)
def test_bad_values_are_refused_by_name(key, value):
    config = dataclasses.replace(Config(), **{key: value})
    with pytest.raises(UserError, match=rf"relative_position\.{key}={value}: expected"):
        RelativePosition(config)
