"""Recalibrated statistics equal those of all images together."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk.batch_norm_recalibration import PooledMoments, recalibrate_batch_norm
from selfsup.trunk.block4 import Block4
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig


def images(count, seed=0, size=48):
    return np.random.default_rng(seed).random((count, size, size, 3), np.float32)


def norms(trunk):
    return [layer for layer in trunk.submodules if hasattr(layer, "moving_variance")]


def statistics(trunk):
    return [
        value.numpy()
        for layer in norms(trunk)
        for value in (layer.moving_mean, layer.moving_variance)
    ]


def test_pooled_moments_equal_those_of_a_single_batch():
    rng = np.random.default_rng(0)
    parts = [rng.normal(m, 1 + m, (n, 3, 4, 5)) for m, n in [(0, 2), (7, 1), (3, 6)]]
    moments = PooledMoments()
    for part in parts:
        moments(tf.constant(part, tf.float32))
    everything = np.concatenate(parts)
    np.testing.assert_allclose(moments.mean, everything.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, everything.var((0, 1, 2)), rtol=1e-5)


def test_a_single_batch_gives_its_own_statistics():
    """After recalibration on a batch, inference on it equals training mode."""
    trunk = ResNetV2(TrunkConfig("tiny"))
    batch = images(8)
    expected = trunk(batch, training=True)
    assert recalibrate_batch_norm(trunk, [batch]) == 8
    np.testing.assert_allclose(trunk(batch), expected, rtol=1e-3, atol=1e-3)


def test_first_layer_pools_over_unequal_batches():
    trunk = ResNetV2(TrunkConfig("tiny"))
    batch = images(7)
    recalibrate_batch_norm(trunk, [batch[:4], batch[4:6], batch[6:]])
    pieces = trunk.block1[0].preact
    root = tf.nn.max_pool2d(trunk.conv1(2 * batch - 1, stride=2), 3, 2, "SAME").numpy()
    np.testing.assert_allclose(pieces.moving_mean, root.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(pieces.moving_variance, root.var((0, 1, 2)), rtol=1e-4)


def test_weights_stay_and_observers_are_removed():
    trunk = ResNetV2(TrunkConfig("tiny"))
    before = [variable.numpy() for variable in trunk.trainable_variables]
    recalibrate_batch_norm(trunk, [images(2)])
    for old, new in zip(before, trunk.trainable_variables):
        np.testing.assert_array_equal(old, new)
    assert all("call" not in vars(layer) for layer in norms(trunk))


def test_activations_of_a_random_trunk_no_longer_explode():
    keras.utils.set_random_seed(0)
    trunk = ResNetV2(TrunkConfig("50"))
    batch = images(4, size=32)
    before = np.std(trunk(batch))
    recalibrate_batch_norm(trunk, [batch[:2], batch[2:]], output_stride=16)
    after = np.std(trunk(batch, output_stride=16))
    assert 0.1 < after < before / 5


def test_block4_is_recalibrated_on_the_trunks_output():
    trunk = ResNetV2(TrunkConfig("tiny"))
    block4 = Block4(trunk.config)
    batch = images(6)
    recalibrate_batch_norm(trunk, [batch], block4=block4, output_stride=16)
    features = trunk(batch, output_stride=16)
    np.testing.assert_allclose(
        block4(features, output_stride=16),
        block4(features, training=True, output_stride=16),
        rtol=1e-2,
        atol=1e-2,
    )


@pytest.mark.parametrize(
    ("batches", "message"),
    [([], "no images"), ([np.full((2, 32, 32, 3), np.nan, np.float32)], "not finite")],
)
def test_a_failure_keeps_the_old_statistics(batches, message):
    trunk = ResNetV2(TrunkConfig("tiny"))
    before = statistics(trunk)
    with pytest.raises(UserError, match=message):
        recalibrate_batch_norm(trunk, batches)
    for old, new in zip(before, statistics(trunk)):
        np.testing.assert_array_equal(old, new)


def test_batch_norms_of_keras_are_recalibrated_wherever_they_are():
    """Also inside of nested models, and by any class derived from Keras's."""

    class Network(tf.Module):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential(
                [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
            )
            self.outer = [keras.layers.BatchNormalization(momentum=0.5)]
            self.inner.build([None, 48, 48, 3])
            self.outer[0].build([None, None, None, 4])

        def __call__(self, inputs, *, training, output_stride):
            del output_stride
            net = self.inner(inputs, training=training)
            return self.outer[0](net, training=training)

    network, batch = Network(), images(6)
    parts = [batch[:4], batch[4:]]
    assert recalibrate_batch_norm(network, parts) == 6
    conv, norm = network.inner.layers
    pieces = conv(batch).numpy()
    np.testing.assert_allclose(norm.moving_mean, pieces.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, pieces.var((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(network.outer[0].moving_mean, np.zeros(4), atol=1e-4)
    assert "call" not in vars(norm)
