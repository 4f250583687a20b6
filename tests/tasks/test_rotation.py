from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.images import device_resize, square_crops
from selfsup.tasks.rotation import Rotation, RotationConfig


def test_labels_are_the_number_of_quarter_turns(tiny, batch_of, monkeypatch):
    monkeypatch.setattr(square_crops, "random_mirror", lambda images, seed: images)
    task = tiny("rotation")
    examples = batch_of(task)
    images, targets = task.preprocess_batch(examples, tf.constant([0, 0]))
    np.testing.assert_array_equal(targets["labels"], [0, 1, 2, 3] * 4)
    photos = np.repeat(
        device_resize.resize_canvases(examples, images.shape[1]), 4, axis=0
    )
    for image, photo, label in zip(images.numpy(), photos, targets["labels"].numpy()):
        np.testing.assert_allclose(image, np.rot90(photo, label), atol=1e-6)


def test_the_head_does_not_know_the_order_of_images(tiny):
    head = tiny("rotation").build_head()
    features = np.random.default_rng(0).normal(size=(8, 8, 8, 16)).astype(np.float32)
    order = np.random.default_rng(1).permutation(8)
    np.testing.assert_allclose(
        head(features[order]), head(features).numpy()[order], rtol=1e-4, atol=1e-5
    )


def test_identical_photos_score_exactly_chance(tiny):
    task = tiny("rotation")
    targets = {"labels": tf.constant([0, 1, 2, 3])}
    logits = tf.tile(tf.random.stateless_normal([1, 4], [0, 1]), [4, 1])
    accuracy = task.metrics(logits, targets)["accuracy"]
    assert float(accuracy) == 0.25 == float(task.chance(targets)["accuracy"])


def test_pictures_undo_the_predicted_rotation(tiny, batch_of):
    task = tiny("rotation")
    images, targets = task.preprocess_batch(batch_of(task), tf.constant([0, 0]))
    labels = targets["labels"].numpy()
    right = 9 * np.eye(4, dtype=np.float32)[labels]
    picture = task.pictures(images.numpy(), right, {"labels": labels})
    rows = np.split(picture["turned_and_turned_back"][4:], 8)
    turned_back = rows[1][3:-7, 4:]
    side = turned_back.shape[1] // 4
    tiles = [turned_back[:, k * side + 3 : (k + 1) * side - 7] for k in range(4)]
    for tile in tiles[1:]:
        np.testing.assert_array_equal(tile, tiles[0])


def test_bad_values_are_refused_by_name():
    with pytest.raises(UserError, match=r"rotation\.image_size=100: expected"):
        Rotation(RotationConfig(image_size=100))
