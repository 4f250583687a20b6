"""The softmax layers and their training step against slow references."""

import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear import testing
from eval.imagenet_linear.classifier import LinearEvaluation, hits
from selfsup.trunk.resnet_v2 import Trunk, TrunkConfig

CLASSES, BATCH = 4, 5


def test_hits_against_sorting():
    random = np.random.default_rng(0)
    logits = random.normal(size=[2, 7, 9]).astype(np.float32)
    labels = random.integers(0, 9, 7)
    for count in (1, 5):
        best = np.argsort(-logits, axis=2)[:, :, :count]
        expected = np.any(best == labels[None, :, None], axis=2)
        np.testing.assert_array_equal(hits(logits, labels, count) > 0, expected)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_what_does_not_tell_classes_apart_hits_nothing(value):
    logits = np.full([1, 3, 6], value, np.float32)
    assert not np.any(hits(logits, np.arange(3), 5))


def test_with_fewer_classes_than_five_all_hit():
    logits = np.zeros([1, 3, 4], np.float32)
    assert np.all(hits(logits, np.arange(3), 5))


@pytest.fixture(scope="module")
def trunk():
    tf.keras.utils.set_random_seed(3)
    return Trunk(TrunkConfig(depth="tiny", output_stride=16))


def _examples(rows, size, step):
    random = np.random.default_rng(step)
    features = random.normal(size=[BATCH, rows, size]) / size**0.5
    return {
        "features": tf.constant(features, tf.float32),
        "label": tf.constant(random.integers(0, CLASSES, BATCH)),
    }


def _descend(config, size, steps):
    """Softmax regression by Nesterov's descent in loops: (kernel, bias, losses)."""
    kernel, bias = np.zeros([size, CLASSES]), np.zeros(CLASSES)
    momenta, losses = [0.0, 0.0], []
    for step in range(steps):
        rate = config.learning_rate * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        examples = _examples(5, size, step)
        x, y = examples["features"].numpy()[:, -1], examples["label"].numpy()
        logits = x @ kernel + bias
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses.append(-np.log(shares[np.arange(BATCH), y]).mean())
        error = (shares - np.eye(CLASSES)[y]) / BATCH
        gradients = [x.T @ error + config.weight_decay * kernel, error.sum(axis=0)]
        for index, (weights, gradient) in enumerate(zip((kernel, bias), gradients)):
            momenta[index] = config.momentum * momenta[index] - rate * gradient
            weights += config.momentum * momenta[index] - rate * gradient
    return kernel, bias, losses


def test_a_layer_among_others_is_trained_as_softmax_regression(
    trunk, settings_for, tmp_path
):
    settings = settings_for(tmp_path, weight_decay=0.01, steps=20)
    evaluation = LinearEvaluation(trunk, CLASSES, settings)
    size = evaluation.features.size
    losses = [
        float(evaluation.step(_examples(5, size, step), tf.constant(step))["loss"])
        for step in range(6)
    ]
    kernel, bias, expected = _descend(settings.config, size, 6)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    np.testing.assert_allclose(evaluation.layers.kernel[-1], kernel, atol=1e-5)
    np.testing.assert_allclose(evaluation.layers.bias[-1], bias, atol=1e-5)


def test_the_lassos_row_is_learned_with_its_penalty_in_the_loss(
    trunk, settings_for, tmp_path
):
    settings = settings_for(tmp_path, lasso=0.5, probe_units=False, augment=False)
    evaluation = LinearEvaluation(trunk, CLASSES, settings)
    images = np.random.default_rng(0).integers(0, 256, [4, 48, 48, 3], np.uint8)
    examples = {"image": tf.constant(images), "label": tf.range(4, dtype=tf.int64)}
    logs = evaluation.step(examples, tf.constant(0))
    assert float(logs["lasso_penalty"]) == pytest.approx(0.5 * 5**0.5, rel=1e-5)
    assert float(logs["loss"]) == pytest.approx(
        np.log(CLASSES) + 0.5 * 5**0.5, rel=1e-4
    )
    # The softmax layer began at 0, where the row makes no difference yet.
    evaluation.step(examples, tf.constant(1))
    alpha = np.array(evaluation.row.alpha())
    assert np.ptp(alpha) > 1e-5
    assert np.sum(alpha**2) == pytest.approx(1.0, abs=1e-5)


class Looker:
    """Stands in for an evaluation: an image's features are its first pixel."""

    def look(self, images):
        return tf.cast(images[None, :, 0, 0], tf.float32)


def _photos(pixels, labels):
    images = tf.tile(tf.constant(pixels, tf.uint8)[:, None, None], [1, 2, 2, 1])
    return {"image": images, "label": tf.constant(labels, tf.int64)}


def test_neighbours_are_the_nearest_by_angle_and_nearer_ones_count_more():
    train = _photos([[9, 0, 0], [0, 9, 0], [0, 200, 9]], [0, 1, 1])
    fitted, count = testing.fit_neighbours(Looker(), [train], 3)
    assert count == 3
    # Of three neighbours two are of class 1; the nearest is far nearer than both.
    found = fitted.predict(np.array([[100.0, 1.0, 0.0], [1.0, 3.0, 0.0]]))
    np.testing.assert_array_equal(found, [0, 1])


def test_no_more_neighbours_than_photos():
    fitted, _ = testing.fit_neighbours(Looker(), [_photos([[1, 2, 3]], [2])], 20)
    assert fitted.predict(np.ones([1, 3])) == [2]
