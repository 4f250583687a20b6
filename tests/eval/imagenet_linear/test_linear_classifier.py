"""The softmax layers and their training step against slow references."""

import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear import testing
from eval.imagenet_linear.classifier import LinearClassifiers
from eval.imagenet_linear.softmax_layers import hits
from selfsup.keras import keras
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig

CLASSES, BATCH, ROWS = 4, 6, 5
RATES = (0.3, 3.0)
HELD_OUT = np.array([False, True, False, False, True, False])


def test_hits_against_sorting():
    random = np.random.default_rng(0)
    logits = random.normal(size=[3, 2, 7, 9]).astype(np.float32)
    labels = random.integers(0, 9, 7)
    for count in (1, 5):
        best = np.argsort(-logits, axis=-1)[..., :count]
        expected = np.any(best == labels[:, None], axis=-1)
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
    keras.utils.set_random_seed(3)
    return ResNetV2(TrunkConfig(depth="tiny", output_stride=16))


def _examples(size, step):
    random = np.random.default_rng(step)
    features = random.normal(size=[BATCH, ROWS, size]) / size**0.5
    return {
        "features": tf.constant(features, tf.float32),
        "label": tf.constant(random.integers(0, CLASSES, BATCH)),
        "held_out": tf.constant(HELD_OUT),
    }


def _descend(config, row, first_rate, size, steps):
    """Softmax regression by Nesterov's descent in loops: (kernel, bias, losses)."""
    kernel, bias = np.zeros([size, CLASSES]), np.zeros(CLASSES)
    momenta, losses = [0.0, 0.0], []
    for step in range(steps):
        rate = first_rate * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        examples = _examples(size, step)
        x = examples["features"].numpy()[~HELD_OUT, row]
        y = examples["label"].numpy()[~HELD_OUT]
        logits = x @ kernel + bias
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses.append(-np.log(shares[np.arange(len(y)), y]).mean())
        error = (shares - np.eye(CLASSES)[y]) / len(y)
        gradients = [x.T @ error + config.weight_decay * kernel, error.sum(axis=0)]
        for index, (weights, gradient) in enumerate(zip((kernel, bias), gradients)):
            momenta[index] = config.momentum * momenta[index] - rate * gradient
            weights += config.momentum * momenta[index] - rate * gradient
    return kernel, bias, losses


def _layer(evaluation, row, rate):
    """(kernel, bias) of a unit's layer at the rate of an index."""
    columns = slice(rate * CLASSES, (rate + 1) * CLASSES)
    kernel, bias = evaluation.weights()[:2]
    return kernel.numpy()[row, :, columns], bias.numpy()[row, columns]


def test_a_layer_among_others_is_trained_as_softmax_regression_without_what_is_held_out(
    trunk, settings_for, tmp_path
):
    settings = settings_for(tmp_path, weight_decay=0.01, steps=20, learning_rates=RATES)
    evaluation = LinearClassifiers(trunk, CLASSES, settings)
    size = evaluation.features.size
    logs = [
        evaluation.step(_examples(size, step), tf.constant(step)) for step in range(6)
    ]
    for row in (0, 4):
        for index, rate in enumerate(RATES):
            kernel, bias, expected = _descend(settings.config, row, rate, size, 6)
            actual = _layer(evaluation, row, index)
            np.testing.assert_allclose(actual[0], kernel, atol=1e-5)
            np.testing.assert_allclose(actual[1], bias, atol=1e-5)
            if row == 4:
                losses = [float(row[f"loss_rate_{rate:g}"]) for row in logs]
                np.testing.assert_allclose(losses, expected, rtol=1e-4)
    lowest = [min(float(row[f"loss_rate_{rate:g}"]) for rate in RATES) for row in logs]
    np.testing.assert_allclose([float(row["loss"]) for row in logs], lowest)


def test_a_batch_that_is_all_held_out_changes_nothing(trunk, settings_for, tmp_path):
    evaluation = LinearClassifiers(trunk, CLASSES, settings_for(tmp_path))
    examples = _examples(evaluation.features.size, 0)
    examples["held_out"] = tf.ones([BATCH], tf.bool)
    evaluation.step(examples, tf.constant(0))
    for weights in evaluation.weights():
        assert not np.any(weights.numpy())


def _images(step):
    images = np.random.default_rng(step).integers(0, 256, [4, 48, 48, 3], np.uint8)
    return {
        "image": tf.constant(images),
        "label": tf.range(4, dtype=tf.int64),
        "held_out": tf.zeros([4], tf.bool),
    }


def _lasso(trunk, settings_for, output, rates):
    """(Trained evaluation of combinations, logs of its first step)."""
    settings = settings_for(
        output, lasso=0.5, probe_units=False, augment=False, learning_rates=rates
    )
    evaluation = LinearClassifiers(trunk, CLASSES, settings)
    evaluation.features.measure([tf.cast(_images(9)["image"], tf.float32) / 255.0])
    logs = [evaluation.step(_images(step), tf.constant(step)) for step in range(3)]
    return evaluation, logs[0]


def test_the_lassos_row_is_learned_with_its_penalty_in_the_loss(
    trunk, settings_for, tmp_path
):
    evaluation, logs = _lasso(trunk, settings_for, tmp_path, (3.0,))
    assert float(logs["lasso_penalty"]) == pytest.approx(0.5 * 5**0.5, rel=1e-5)
    assert float(logs["loss"]) == pytest.approx(
        np.log(CLASSES) + 0.5 * 5**0.5, rel=1e-4
    )
    (alpha,) = evaluation.features.combinations.alpha().numpy()
    assert np.ptp(alpha) > 1e-5
    assert np.sum(alpha**2) == pytest.approx(1.0, abs=1e-5)


def test_layers_on_combinations_are_trained_as_each_would_be_without_the_others(
    trunk, settings_for, tmp_path
):
    both, _ = _lasso(trunk, settings_for, tmp_path, RATES)
    alphas = both.features.combinations.alpha().numpy()
    assert np.max(np.abs(alphas[0] - alphas[1])) > 1e-6
    for index, rate in enumerate(RATES):
        single, _ = _lasso(trunk, settings_for, tmp_path, (rate,))
        alpha = single.features.combinations.alpha().numpy()[0]
        np.testing.assert_allclose(alphas[index], alpha, atol=1e-6)
        for first, second in zip(both.weights(), single.weights()):
            np.testing.assert_allclose(first[index], second[0], atol=1e-5)


class FirstPixel:
    """A model whose features of an image are its first pixel."""

    def __init__(self):
        self.features = self

    def compute_features(self, images):
        return tf.cast(images[None, :, 0, 0], tf.float32)

    def evaluation_row(self, features, rate):
        return features[rate]


def _photos(pixels, labels):
    images = tf.tile(tf.constant(pixels, tf.uint8)[:, None, None], [1, 2, 2, 1])
    return {"image": images, "label": tf.constant(labels, tf.int64)}


def test_neighbours_are_the_nearest_by_angle_and_nearer_ones_count_more():
    train = _photos([[9, 0, 0], [0, 9, 0], [0, 200, 9]], [0, 1, 1])
    fitted, count = testing.fit_neighbours(FirstPixel(), [train], 3)
    assert count == 3
    # Of three neighbours two are of class 1; the nearest is far nearer than both.
    actual = fitted.predict(np.array([[100.0, 1.0, 0.0], [1.0, 3.0, 0.0]]))
    np.testing.assert_array_equal(actual, [0, 1])


def test_no_more_neighbours_than_photos():
    fitted, _ = testing.fit_neighbours(FirstPixel(), [_photos([[1, 2, 3]], [2])], 20)
    assert fitted.predict(np.ones([1, 3])) == [2]
