"""Augmentation of all tasks: what each task takes, and that its targets stay true."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import color, exemplar_augmentation
from selfsup.tasks import augmentation

SEED = tf.constant([3, 4])


def _augmented(task, examples):
    return augmentation.preprocess_augmented(task, examples, SEED)


def test_colorization_moves_photos_and_their_colours_together(tiny, batch_of):
    task, examples = tiny("colorization"), batch_of(tiny("colorization"))
    moved = task.augment_examples(examples, SEED)
    lightness, targets = task.preprocess_batch(moved, SEED)
    _, plain = task.preprocess_batch(examples, SEED)
    assert np.abs(targets["ab"] - plain["ab"]).max() > 5
    photos = tf.cast(moved["canvas"], tf.float32) / 255.0
    for photo, gray, ab in zip(photos, lightness, targets["ab"]):
        lab = color.rgb_to_lab(photo[None])[0].numpy()
        if np.abs(gray[..., 0] - lab[..., 0] / 100).max() > 1e-3:  # Mirrored.
            lab = lab[:, ::-1]
        np.testing.assert_allclose(gray[..., 0], lab[..., 0] / 100, atol=2e-3)
        cells = lab[..., 1:].reshape(8, 8, 8, 8, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(ab, cells, atol=0.1)


def test_colorization_keeps_the_colours_and_changes_the_lightness(tiny, batch_of):
    task, examples = tiny("colorization"), batch_of(tiny("colorization"))
    before, after = (tf.random.fold_in(SEED, number) for number in (2, 3))
    moved = task.augment_examples(examples, before)
    gray, expected = task.preprocess_batch(moved, SEED)
    images, targets = _augmented(task, examples)
    np.testing.assert_allclose(np.ptp(images, axis=-1), 0.0, atol=1e-6)
    np.testing.assert_array_equal(
        images, exemplar_augmentation.random_tone(gray, after)
    )
    for key, value in expected.items():
        np.testing.assert_array_equal(targets[key], value)


@pytest.mark.parametrize("harmonize", [False, True])
def test_relative_position_mixes_no_channels(harmonize, tiny, batch_of):
    """A patch with a single bright channel keeps the order of its channels."""
    task = tiny("relative_position", harmonize=harmonize)
    cut = batch_of(task)["patches"].numpy()
    cut[..., 1:] = 128
    toned = task.augment_examples({"patches": tf.constant(cut)}, SEED)[
        "patches"
    ].numpy()
    assert toned.dtype == np.uint8
    np.testing.assert_array_equal(np.ptp(toned[..., 1:].astype(int), axis=(-2, -3)), 0)
    # Equal values of a patch stay equal in all channels, and larger values larger.
    flat = toned.reshape(-1, *toned.shape[3:])
    for patch, original in zip(flat, cut.reshape(flat.shape)):
        order = np.argsort(original[..., 0], axis=None, kind="stable")
        assert np.all(np.diff(patch[..., 0].ravel()[order].astype(int)) >= 0)
    images, targets = _augmented(task, {"patches": tf.constant(cut)})
    _, expected = task.preprocess_batch({"patches": tf.constant(cut)}, SEED)
    np.testing.assert_array_equal(targets["labels"], expected["labels"])
    if harmonize:
        np.testing.assert_allclose(np.ptp(images, axis=-1), 0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["motion_segmentation", "rotation"])
def test_a_task_that_says_nothing_gets_colours_and_keeps_its_targets(
    name, tiny, batch_of
):
    task, examples = tiny(name), batch_of(tiny(name))
    images, targets = task.preprocess_batch(examples, SEED)
    changed, changed_targets = _augmented(task, examples)
    expected = exemplar_augmentation.random_color_keeping_gray(
        images, tf.random.fold_in(SEED, 3)
    )
    np.testing.assert_array_equal(changed, expected)
    for key, value in targets.items():
        np.testing.assert_array_equal(changed_targets[key], value)


def test_motion_segmentation_jitters_colours_once(tiny, batch_of):
    task = tiny("motion_segmentation", color_jitter=True)
    images, _ = task.preprocess_batch(batch_of(task), SEED)
    np.testing.assert_array_equal(task.augment_images(images, SEED), images)
