"""The standardisation of combinations follows alpha."""

import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear.combinations import Combinations, UnitMoments

UNITS, CHANNELS, SIDE = 4, 5, 6


def _units(seed=0, photos=40):
    """Correlated units of growing scale, like those of a trunk: [M, B, H, W, C]."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=[UNITS, photos, SIDE, SIDE, CHANNELS])
    steps += random.normal(size=[UNITS, 1, 1, 1, CHANNELS])
    scales = 3.0 ** np.arange(UNITS)
    units = np.cumsum(steps * scales[:, None, None, None, None], axis=0)
    return units.astype(np.float32)


def _made(units, count=1):
    made = Combinations(count, UNITS, CHANNELS, l1=0.1, cells=3)
    made.measure([units[:, :7], units[:, 7:]])
    return made


def _set_alpha(made, *rows):
    for variable, row in zip(made.alpha_variables(), rows):
        variable.assign(row)


def test_moments_of_units_are_those_of_all_batches_at_once():
    units = _units()
    moments = UnitMoments()
    for part in np.split(units, [3, 4, 30], axis=1):
        moments(tf.constant(part))
    flat = units.reshape(UNITS, -1, CHANNELS).astype(np.float64)
    np.testing.assert_allclose(moments.mean, flat.mean(axis=1), rtol=1e-5)
    for channel in range(CHANNELS):
        expected = np.cov(flat[..., channel], bias=True)
        np.testing.assert_allclose(moments.covariance[channel], expected, rtol=1e-4)


ALPHAS = ([1.0, 0, 0, 0], [0, 0, 0, 1.0], [0.5, -1.0, 0.2, 0.7], [3.0, 2.0, 1.0, 0])


@pytest.mark.parametrize("alpha", ALPHAS)
def test_moments_of_a_combination_follow_exactly_from_alpha(alpha):
    units = _units()
    made = _made(units)
    _set_alpha(made, alpha)
    row = np.array(alpha) / np.linalg.norm(alpha)
    sums = np.tensordot(row, units.astype(np.float64), 1)
    mean, deviation = made._map_moments()
    np.testing.assert_allclose(mean[0], sums.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(deviation[0], sums.std(axis=(0, 1, 2)), rtol=1e-3)


def _channel_moments(features):
    """(Mean, deviation) [C] of features [B, cells^2, C]."""
    return features.mean(axis=(0, 1)), features.std(axis=(0, 1))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_pooled_features_stay_standardised_where_constants_would_not(alpha):
    units = tf.constant(_units())
    made = _made(units, count=2)
    mean, deviation = _channel_moments(made(units)[0].numpy())
    np.testing.assert_allclose(mean, 0.0, atol=1e-4)
    np.testing.assert_allclose(deviation, 1.0, atol=1e-4)
    first = made.pooled(units)[0].numpy()
    _set_alpha(made, [1.0] * UNITS, alpha)
    mean, deviation = _channel_moments(made(units)[1].numpy())
    # Not exactly, because the maximum depends on the distribution of the values.
    np.testing.assert_allclose(mean, 0.0, atol=0.25)
    np.testing.assert_allclose(deviation, 1.0, atol=0.25)
    constants = _channel_moments(first)
    drifted = (made.pooled(units)[1].numpy() - constants[0]) / constants[1]
    errors = np.abs(np.log(_channel_moments(drifted)[1]))
    assert np.max(np.abs(np.log(deviation))) < np.max(errors) / 2


def test_features_and_gradients_do_not_depend_on_the_scale_of_units():
    def gradient(scale):
        units = tf.constant(scale * _units())
        made = _made(units)
        _set_alpha(made, ALPHAS[2])
        (variable,) = made.alpha_variables()
        weights = np.random.default_rng(1).normal(size=made(units).shape)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(made(units) * tf.constant(weights, tf.float32))
        return tape.gradient(value, variable).numpy()

    np.testing.assert_allclose(gradient(100.0), gradient(1.0), rtol=1e-3, atol=1e-2)


def test_alpha_is_not_rewarded_for_a_larger_scale():
    """The squared norm of the features hardly changes along alpha, whose units grow."""
    units = tf.constant(_units(photos=200))
    made = _made(units)
    (variable,) = made.alpha_variables()
    with tf.GradientTape(persistent=True) as tape:
        standardised = tf.reduce_mean(tf.square(made(units)))
        constants = _channel_moments(made.pooled(units)[0].numpy())
        fixed = (made.pooled(units) - constants[0]) / constants[1]
        fixed = tf.reduce_mean(tf.square(fixed))
    standardised_norm = np.linalg.norm(tape.gradient(standardised, variable))
    fixed_norm = np.linalg.norm(tape.gradient(fixed, variable))
    assert standardised_norm < fixed_norm / 5
