"""The reverse Huber loss against a reference written as loops."""

import numpy as np
import pytest
import tensorflow as tf

from eval.nyuv2_depth.berhu import berhu


def _reference(predicted, truth, valid, share):
    errors = [abs(p - t) for p, t, v in zip(predicted, truth, valid) if v]
    if not errors:
        return 0.0
    c = share * max(errors)
    total = 0.0
    for error in errors:
        total += error if error <= c else (error * error + c * c) / (2 * c)
    return total / len(errors)


@pytest.mark.parametrize("share", [0.2, 0.7, 1.0])
def test_equals_the_reference(share):
    random = np.random.default_rng(0)
    predicted, truth = random.uniform(-1, 10, [2, 3, 4, 5]).astype(np.float32)
    valid = random.random([3, 4, 5]) < 0.6
    expected = _reference(predicted.ravel(), truth.ravel(), valid.ravel(), share)
    actual = berhu(predicted, truth, valid, share)
    assert float(actual) == pytest.approx(expected, rel=1e-5)


def _gradient(predicted, truth, valid):
    predicted = tf.constant(predicted, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = berhu(predicted, truth, tf.constant(valid))
    return float(loss), tape.gradient(loss, predicted).numpy()


def test_value_and_slope_are_continuous_at_c():
    """The largest error is 10, so c is 2; two other errors lie on either side of it."""
    truth = np.zeros([1, 1, 3], np.float32)
    everywhere = np.ones([1, 1, 3], bool)
    losses, slopes = zip(
        *(_gradient([[[10.0, 0.0, x]]], truth, everywhere) for x in (1.999, 2.001))
    )
    assert losses[1] - losses[0] == pytest.approx(0.002 / 3, rel=0.05)
    assert slopes[0][0, 0, 2] == pytest.approx(1 / 3, rel=1e-5)
    assert slopes[1][0, 0, 2] == pytest.approx(2.001 / 2 / 3, rel=1e-4)
    # c is a constant to the gradient: the largest error's own is that of the square.
    assert slopes[0][0, 0, 0] == pytest.approx(10 / 2 / 3, rel=1e-5)


@pytest.mark.parametrize("unknown", [0.0, np.nan, 1e30])
def test_other_pixels_count_for_nothing(unknown):
    truth = np.array([[[1.0, unknown]]], np.float32)
    valid = np.array([[[True, False]]])
    loss, gradient = _gradient([[[1.5, 3.0]]], truth, valid)
    assert loss == pytest.approx(_reference([1.5], [1.0], [True], 0.2), rel=1e-6)
    assert np.all(np.isfinite(gradient))
    assert gradient[0, 0, 1] == 0


@pytest.mark.parametrize("valid", [False, True])
def test_no_pixel_and_no_error_are_no_loss(valid):
    """Without a valid pixel, and if every prediction is right."""
    truth = np.ones([2, 3, 3], np.float32)
    loss, gradient = _gradient(truth, truth, np.full([2, 3, 3], valid))
    assert loss == 0
    np.testing.assert_array_equal(gradient, np.zeros([2, 3, 3]))
