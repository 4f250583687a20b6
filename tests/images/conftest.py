import numpy as np
import pytest
import tensorflow as tf


def _map_once(function, args):
    """Computes `function(*args)` as the only element of a tf.data map."""
    dataset = tf.data.Dataset.from_tensors(tuple(args))
    return next(iter(dataset.map(lambda *tensors: function(*tensors))))


def _to_numpy(values):
    return tf.nest.map_structure(lambda value: value.numpy(), values)


@pytest.fixture
def everywhere():
    """Runs an operation eagerly, in a tf.function and in tf.data; all must agree."""

    def run(function, *args):
        args = [tf.convert_to_tensor(arg) for arg in args]
        eager = _to_numpy(function(*args))
        for other in (tf.function(function)(*args), _map_once(function, args)):
            tf.nest.map_structure(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
                eager,
                _to_numpy(other),
            )
        return eager

    return run


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def images(rng):
    return rng.random((3, 12, 10, 3), np.float32)
