"""Residual units follow Slim's definition, and their properties in heads."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from selfsup.trunk.residual import ResidualUnit


def tensor(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def test_identity_shortcut_passes_the_raw_input():
    unit = ResidualUnit(6, 2)
    inputs = tensor(2, 8, 8, 6)
    unit(inputs)
    unit.conv3.kernel.assign(tf.zeros_like(unit.conv3.kernel))
    np.testing.assert_array_equal(unit(inputs), inputs)
    np.testing.assert_array_equal(unit(inputs, stride=2), inputs[:, ::2, ::2])


def test_projection_shortcut_reads_the_pre_activation():
    unit = ResidualUnit(4, 2, stride=2)
    inputs = tensor(2, 8, 8, 6)
    assert unit(inputs).shape == (2, 4, 4, 4)
    unit.conv3.kernel.assign(tf.zeros_like(unit.conv3.kernel))
    preact = tf.nn.relu(inputs / np.sqrt(1 + 1e-5))
    expected = tf.nn.conv2d(preact, unit.shortcut.kernel, 2, "VALID")
    np.testing.assert_allclose(unit(inputs), expected, rtol=1e-4, atol=1e-5)


def test_the_same_layers_have_biases_as_in_slim():
    unit = ResidualUnit(4, 2)
    unit(tensor(1, 4, 4, 6))
    biased = {
        layer.name: layer.use_bias
        for layer in unit.submodules
        if "kernel" in vars(layer)
    }
    assert biased == {"shortcut": True, "conv1": False, "conv2": False, "conv3": True}


def test_fully_connected_unit_has_no_dead_weights():
    unit = ResidualUnit(8, 4, kernel_size=1)
    inputs = tensor(5, 1, 1, 8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(unit(inputs, training=True) ** 2)
    kernels = [unit.conv1.kernel, unit.conv2.kernel, unit.conv3.kernel]
    assert [kernel.shape[0] for kernel in kernels] == [1, 1, 1]
    for gradient in tape.gradient(loss, kernels):
        assert np.count_nonzero(gradient) > gradient.numpy().size / 2


def test_config_round_trip():
    unit = ResidualUnit(8, 4, stride=2, kernel_size=1, weight_decay=0.5, name="u")
    assert ResidualUnit.from_config(unit.get_config()).get_config() == unit.get_config()


def test_mixed_precision_keeps_float32_weights():
    unit = ResidualUnit(6, 2, dtype="mixed_bfloat16")
    outputs = unit(tensor(2, 8, 8, 6), training=True)
    assert outputs.dtype == tf.bfloat16
    assert {variable.dtype for variable in unit.variables} == {tf.float32}
