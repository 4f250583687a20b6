from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn_metrics

from selfsup.common.errors import UserError
from selfsup.data import records
from selfsup.images import square_crops
from selfsup.tasks import motion_segmentation
from selfsup.tasks.motion_segmentation import (
    MotionSegmentation,
    MotionSegmentationConfig,
)


@pytest.fixture
def task(tiny):
    return tiny("motion_segmentation")


@pytest.fixture
def scored():
    """Random logits and targets, some of them ignored: [3, 6, 8]."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 6, 8, 1)).astype(np.float32)
    valid = (rng.random((3, 6, 8)) < 0.7).astype(np.float32)
    labels = (rng.random((3, 6, 8)) < 0.3).astype(np.float32) * valid
    return tf.constant(logits), {
        "labels": tf.constant(labels),
        "valid": tf.constant(valid),
    }


def _valid_pairs(logits, targets):
    labels, valid = targets["labels"].numpy(), targets["valid"].numpy()
    logits = logits.numpy()
    return [
        (float(logits[place][0]), float(labels[place]))
        for place in np.ndindex(labels.shape)
        if valid[place]
    ]


def test_metrics_by_loops(task, scored):
    pairs = _valid_pairs(*scored)
    entropy = intersection = union = 0.0
    for logit, label in pairs:
        probability = 1 / (1 + np.exp(-logit))
        entropy -= np.log(probability if label else 1 - probability) / len(pairs)
        intersection += probability > 0.5 and label == 1
        union += probability > 0.5 or label == 1
    metrics = task.metrics(*scored)
    assert float(metrics["cross_entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(metrics["iou"]) == pytest.approx(intersection / union, rel=1e-5)
    assert float(task.loss(*scored)) == pytest.approx(entropy, rel=1e-5)


def test_average_precision_equals_scikit_learns(task, scored):
    logits, labels = zip(*_valid_pairs(*scored))
    expected = sklearn_metrics.average_precision_score(labels, logits)
    measured = float(task.metrics(*scored)["average_precision"])
    assert measured == pytest.approx(expected, rel=1e-5)


def test_chance_is_the_score_of_the_foreground_rate(task, scored):
    _, targets = scored
    labels = [label for _, label in _valid_pairs(*scored)]
    rate = np.mean(labels)
    chance = {key: float(value) for key, value in task.chance(targets).items()}
    constant = tf.fill([3, 6, 8, 1], float(np.log(rate / (1 - rate))))
    expected = float(task.metrics(constant, targets)["cross_entropy"])
    assert chance["cross_entropy"] == pytest.approx(expected, rel=1e-5)
    everything = tf.fill([3, 6, 8, 1], 5.0)
    all_foreground = float(task.metrics(everything, targets)["iou"])
    assert chance["iou"] == pytest.approx(all_foreground, rel=1e-5)
    assert chance["average_precision"] == pytest.approx(rate, rel=1e-5)


def test_ignored_positions_do_not_count(task, scored):
    logits, targets = scored
    wild = tf.where(targets["valid"][..., None] > 0, logits, 40.0)
    before, after = (
        task.metrics(logits, targets),
        task.metrics(wild, targets),
    )
    for name in before:
        assert float(after[name]) == pytest.approx(float(before[name]), rel=1e-5)


@pytest.mark.parametrize("foreground", [0.0, 1.0])
def test_one_sided_and_empty_batches_are_finite(task, foreground):
    logits = tf.random.stateless_normal([2, 6, 8, 1], [0, 1])
    labels = tf.fill([2, 6, 8], foreground)
    for valid in (0.0, 1.0):
        targets = {"labels": labels * valid, "valid": tf.fill([2, 6, 8], valid)}
        values = {**task.metrics(logits, targets), **task.chance(targets)}
        assert all(np.isfinite(value) for value in values.values())
        assert float(task.chance(targets)["cross_entropy"]) == 0
        if not valid:
            assert float(task.loss(logits, targets)) == 0


def test_masks_are_flipped_with_their_frames_and_never_blended(task):
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, :40] = 255
    mask = np.zeros((12, 16, 1), np.uint8)
    mask[:, :5], mask[:, 10:] = 1, records.MASK_IGNORE
    record = {"image": tf.constant(image), "motion_mask": tf.constant(mask)}
    example = task.preprocess_example(record, tf.constant([0, 3]))
    batch = {key: tf.repeat(value[None], 16, axis=0) for key, value in example.items()}
    images, targets = task.preprocess_batch(batch, tf.constant([1, 3]))
    bright = images.numpy()[:, ::8, ::8, 0] > 0.5
    foreground = targets["labels"].numpy() == 1
    assert (np.mean(bright == foreground, axis=(1, 2)) > 0.85).all()
    assert set(bright[:, 0, 0]) == {True, False}
    assert set(np.unique(example["mask"])) == {0, 1, records.MASK_IGNORE}


def test_targets_of_a_mask(task, monkeypatch):
    monkeypatch.setattr(square_crops, "random_mirror", lambda images, seed: images)
    mask = tf.constant([[0, 1], [records.MASK_IGNORE, 1]], tf.uint8)[None, ..., None]
    examples = {"image": tf.zeros([1, 16, 16, 3], tf.uint8), "mask": mask}
    _, targets = task.preprocess_batch(examples, tf.constant([0, 0]))
    np.testing.assert_array_equal(targets["labels"], [[[0, 1], [0, 1]]])
    np.testing.assert_array_equal(targets["valid"], [[[1, 1], [0, 1]]])


def test_frames_of_the_papers_size_pass_unchanged(serialized):
    task = MotionSegmentation()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (240, 320, 3), np.uint8)
    mask = rng.integers(0, 2, (30, 40, 1), np.uint8)
    record = {"image": tf.constant(image), "motion_mask": tf.constant(mask)}
    example = task.preprocess_example(record, tf.constant([0, 0]))
    np.testing.assert_array_equal(example["mask"], mask)
    np.testing.assert_array_equal(example["image"], image)


def test_parameters_of_the_head(count_parameters):
    head = MotionSegmentation().build_head()
    trained, moving = count_parameters(head, (1, 30, 40, 1024))
    convolutions = (1024 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 + 1)
    assert trained == convolutions + 2 * 1024 == 20_985_857
    assert moving == 2 * 1024


@pytest.mark.parametrize(("key", "value"), [("height", 100), ("width", 0)])
def test_bad_values_are_refused_by_name(key, value):
    expected = rf"motion_segmentation\.{key}={value}: expected"
    with pytest.raises(UserError, match=expected):
        MotionSegmentation(MotionSegmentationConfig(**{key: value}))


def test_average_precision_without_foreground_is_zero():
    scores, labels, valid = tf.ones([4]), tf.zeros([4]), tf.ones([4])
    assert float(motion_segmentation.average_precision(scores, labels, valid)) == 0


def _augmented(task, seed):
    """Frames whose red is 1 at the foreground, with the frame's border ignored."""
    rng = np.random.default_rng(0)
    labels = (rng.random((4, 30, 40)) < 0.4).astype(np.float32)
    valid = np.ones_like(labels)
    valid[:, -2:], labels[:, -2:] = 0, 0
    images = np.repeat(np.repeat(labels, 8, axis=1), 8, axis=2)
    images = np.stack([images, 1 - images, images], axis=-1)
    targets = {"labels": tf.constant(labels), "valid": tf.constant(valid)}
    return task.random_views(tf.constant(images), targets, tf.constant(seed))


def test_training_views_keep_the_masks_on_their_frames():
    config = MotionSegmentationConfig(min_scale=0.7, max_scale=1.8)
    images, targets = _augmented(MotionSegmentation(config), [1, 2])
    # The middle of a cell is far enough from the next cell's colour.
    middle = images.numpy()[:, 4::8, 4::8, 0]
    labels, valid = targets["labels"].numpy(), targets["valid"].numpy()
    certain = (valid == 1) & (np.abs(middle - 0.5) > 0.3)
    assert np.mean(certain[valid == 1]) > 0.6
    assert np.mean((middle > 0.5)[certain] == labels[certain]) > 0.95
    assert set(np.unique(labels)) == set(np.unique(valid)) == {0, 1}
    assert not labels[valid == 0].any()


def test_training_views_are_gray_and_ignored_around_the_frame():
    config = MotionSegmentationConfig(min_scale=0.5, max_scale=0.5)
    images, targets = _augmented(MotionSegmentation(config), [1, 2])
    gray = np.abs(images.numpy() - 0.5).max(axis=-1) < 1e-6
    gray_cells = gray.reshape(4, 30, 8, 40, 8).all(axis=(2, 4))
    # The frame is a quarter of the view.
    assert 0.7 < np.mean(gray_cells) < 0.8
    assert not targets["valid"].numpy()[gray_cells].any()


def test_by_default_training_steps_see_whole_frames():
    task = MotionSegmentation()
    images, targets = _augmented(task, [1, 2])
    again, same_targets = _augmented(task, [3, 4])
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(targets["labels"], same_targets["labels"])


def test_colours_change_and_masks_do_not():
    plain, targets = _augmented(MotionSegmentation(), [1, 2])
    task = MotionSegmentation(MotionSegmentationConfig(color_jitter=True))
    images, same = _augmented(task, [1, 2])
    changed = np.abs(images.numpy() - plain.numpy()).mean(axis=(1, 2, 3))
    assert (changed > 0.01).all() and len(set(changed)) == 4
    assert images.numpy().min() >= 0 and images.numpy().max() <= 1
    for name in targets:
        np.testing.assert_array_equal(same[name], targets[name])


def test_bad_scales_are_refused():
    expected = r"motion_segmentation\.min_scale=2.0: expected"
    with pytest.raises(UserError, match=expected):
        MotionSegmentation(MotionSegmentationConfig(min_scale=2.0, max_scale=1.0))
