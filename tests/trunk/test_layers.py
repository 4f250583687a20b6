"""Convolutions and their weight decay equal TensorFlow's own operations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from selfsup.trunk.layers import Conv2D, atrous_conv2d


def tensor(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


@pytest.mark.parametrize("size", [(12, 12), (13, 11), (8, 7), (3, 2)])
@pytest.mark.parametrize("rate", [2, 4])
def test_atrous_convolution_equals_a_dilated_kernel(size, rate):
    inputs, kernel = tensor(2, *size, 5), tensor(3, 3, 5, 4, seed=1)
    span = 2 * rate + 1
    dilated = np.zeros((span, span, 5, 4), np.float32)
    dilated[::rate, ::rate] = kernel
    expected = tf.nn.conv2d(inputs, dilated, 1, "SAME")
    np.testing.assert_allclose(
        atrous_conv2d(inputs, kernel, rate), expected, rtol=1e-4, atol=1e-4
    )


def test_atrous_convolution_of_unknown_size():
    kernel = tensor(3, 3, 3, 4, seed=1)
    spec = tf.TensorSpec([None, None, None, 3])
    dynamic = tf.function(
        lambda inputs: atrous_conv2d(inputs, kernel, 2), input_signature=[spec]
    )
    inputs = tensor(2, 9, 6, 3)
    expected = atrous_conv2d(inputs, kernel, 2)
    np.testing.assert_allclose(dynamic(inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_strided_convolution_equals_a_subsampled_convolution(size, kernel_size):
    conv = Conv2D(4, kernel_size)
    inputs = tensor(2, size, size, 3)
    expected = conv(inputs)[:, ::2, ::2]
    np.testing.assert_allclose(conv(inputs, stride=2), expected, rtol=1e-4, atol=1e-5)


def test_weight_decay_is_half_the_squared_norm():
    conv = Conv2D(4, 3, weight_decay=0.1)
    conv(tensor(1, 4, 4, 3))
    expected = 0.1 * tf.nn.l2_loss(conv.kernel)
    np.testing.assert_allclose(tf.add_n(conv.losses), expected, rtol=1e-5)


def test_config_round_trip():
    conv = Conv2D(8, 3, 0.5, use_bias=False, name="c")
    assert Conv2D.from_config(conv.get_config()).get_config() == conv.get_config()
