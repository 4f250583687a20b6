import numpy as np
import pytest
import tensorflow as tf

from selfsup.hybrid import rmsprop


def _loop_reference(weights, gradients, rate, config):
    """Computes RMSProp element by element."""
    weights = weights.copy()
    mean_square = np.full(weights.shape, config.initial_square)
    momentum = np.zeros(weights.shape)
    full_rate = rate
    for number, gradient in enumerate(gradients):
        if config.warmup_steps:
            rate = full_rate * min(1.0, (number + 1) / config.warmup_steps)
        for i in range(weights.size):
            mean_square[i] = (
                config.decay * mean_square[i] + (1 - config.decay) * gradient[i] ** 2
            )
            root = np.sqrt(mean_square[i] + config.epsilon)
            momentum[i] = config.momentum * momentum[i] + rate * gradient[i] / root
            weights[i] -= momentum[i]
    return weights


def _run(weights, gradients, rate, config):
    variable = tf.Variable(weights)
    optimizer = rmsprop.RMSProp([variable], config)
    for number, gradient in enumerate(gradients):
        factor = config.warmup(tf.constant(number))
        optimizer.apply([variable], [tf.constant(gradient)], rate * factor)
    return variable.numpy()


@pytest.fixture
def problem():
    random = np.random.default_rng(0)
    weights = random.normal(size=5).astype(np.float32)
    return weights, random.normal(size=(6, 5)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(rmsprop.NAMED))
def test_matches_the_update_element_by_element(problem, name):
    weights, gradients = problem
    config = rmsprop.NAMED[name]
    expected = _loop_reference(weights, gradients, 0.01, config)
    np.testing.assert_allclose(
        _run(weights, gradients, 0.01, config), expected, rtol=2e-5
    )


def test_slim_constants_match_tf1_rmsprop(problem):
    weights, gradients = problem
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("w", initializer=weights)
        fed = tf.compat.v1.placeholder(tf.float32, [5])
        optimizer = tf.compat.v1.train.RMSPropOptimizer(
            0.01, decay=0.9, momentum=0.9, epsilon=1.0
        )
        step = optimizer.apply_gradients([(fed, variable)])
        session.run(tf.compat.v1.global_variables_initializer())
        for gradient in gradients:
            session.run(step, {fed: gradient})
        expected = session.run(variable)
    np.testing.assert_allclose(
        _run(weights, gradients, 0.01, rmsprop.SLIM), expected, rtol=1e-6
    )


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scaling_the_loss_does_not_change_the_update(problem, factor):
    weights, gradients = problem
    config = rmsprop.NAMED["scale_invariant"]
    plain = _run(weights, gradients, 0.01, config)
    scaled = _run(weights, gradients * np.float32(factor), 0.01, config)
    np.testing.assert_allclose(scaled, plain, rtol=1e-4)
    # This does not hold for Slim, because of its epsilon of 1.
    slim = _run(weights, gradients, 0.01, rmsprop.SLIM)
    slim_scaled = _run(weights, gradients * np.float32(factor), 0.01, rmsprop.SLIM)
    assert np.abs(slim_scaled - slim).max() > 1e-3


def test_the_warmup_rises_to_one_and_stays():
    config = rmsprop.RMSPropConfig(warmup_steps=4)
    factors = [float(config.warmup(number)) for number in (0, 1, 2, 3, 4, 2**31 - 2)]
    assert factors == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert float(rmsprop.SLIM.warmup(0)) == 1.0


def test_the_first_update_is_a_small_fraction_of_the_rate():
    """Without a warm-up, it is 3.16 times the rate for any gradient."""
    lengths = []
    for config in (rmsprop.RMSPropConfig(warmup_steps=0), rmsprop.RMSPropConfig()):
        moved = _run(
            np.zeros(3, np.float32), np.float32([[1e-6, 1.0, 1e6]]), 1.0, config
        )
        np.testing.assert_allclose(moved, moved[0], rtol=1e-3)
        lengths.append(-moved[0])
    np.testing.assert_allclose(lengths, [10**0.5, 10**0.5 / 20], rtol=1e-3)


def test_a_variable_without_gradient_does_not_change():
    used, unused = tf.Variable([1.0]), tf.Variable([2.0])
    optimizer = rmsprop.RMSProp([used, unused])
    optimizer.apply([used, unused], [tf.constant([3.0]), None], 0.1)
    assert used.numpy()[0] < 1.0
    assert unused.numpy()[0] == 2.0
    assert optimizer.mean_squares[1].numpy()[0] == 0.0
