"""The fast form of up-projection against the plain one."""

import numpy as np
import pytest
import tensorflow as tf

from eval.nyuv2_depth.network import DepthDecoder
from eval.nyuv2_depth.up_projection import UpProjection, unpool_conv2d


def _unpooled(inputs):
    """Each feature at the upper left of a 2x2 cell of zeros, written as loops."""
    count, height, width, channels = inputs.shape
    cells = np.zeros([count, 2 * height, 2 * width, channels], np.float32)
    for row in range(height):
        for column in range(width):
            cells[:, 2 * row, 2 * column] = inputs[:, row, column]
    return cells


def _plain(inputs, kernel):
    """Un-pooling, differentiable, and one 5x5 convolution over all the zeros."""
    count, height, width, channels = inputs.shape
    cells = tf.pad(
        inputs[:, :, None, :, None], [[0, 0]] * 2 + [[0, 1], [0, 0], [0, 1], [0, 0]]
    )
    cells = tf.reshape(cells, [count, 2 * height, 2 * width, channels])
    np.testing.assert_array_equal(cells, _unpooled(np.asarray(inputs)))
    return tf.nn.conv2d(cells, kernel, 1, padding="SAME")


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (1, 1)])
def test_the_fast_form_equals_the_plain_one(size):
    random = np.random.default_rng(0)
    inputs = tf.constant(random.normal(size=[2, *size, 3]).astype(np.float32))
    kernel = tf.constant(random.normal(size=[5, 5, 3, 4]).astype(np.float32))
    weights = random.normal(size=[2, 2 * size[0], 2 * size[1], 4]).astype(np.float32)
    outputs, gradients = [], []
    for form in (unpool_conv2d, _plain):
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel])
            output = form(inputs, kernel)
            loss = tf.reduce_sum(weights * output)
        outputs.append(output)
        gradients.append(tape.gradient(loss, [inputs, kernel]))
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-4)
    for fast, plain in zip(*gradients):
        np.testing.assert_allclose(fast, plain, rtol=1e-5, atol=1e-3)


def _normalised(layer, net):
    """Batch normalisation by the layer's moving statistics."""
    scale = layer.gamma / tf.sqrt(layer.moving_variance + layer.epsilon)
    return (net - layer.moving_mean) * scale + layer.beta


def test_up_projection_is_the_sum_of_its_branches():
    random = np.random.default_rng(0)
    level = UpProjection(4)
    inputs = tf.constant(random.normal(size=[2, 3, 4, 6]).astype(np.float32))
    level(inputs)
    for variable in level.variables:
        low = 0.5 if "variance" in variable.name else -1.0
        variable.assign(random.uniform(low, 1.0, variable.shape))
    upper = _normalised(level.norm1, _plain(inputs, level.kernel))
    net = tf.nn.relu(upper[..., :4])
    net = tf.nn.conv2d(net, level.conv2.kernel, 1, padding="SAME")
    expected = tf.nn.relu(_normalised(level.norm2, net) + upper[..., 4:])
    assert level(inputs).shape == [2, 6, 8, 4]
    np.testing.assert_allclose(level(inputs), expected, rtol=1e-4, atol=1e-4)
    assert UpProjection.from_config(level.get_config()).channels == 4


def test_parameters_of_the_papers_decoder():
    """Kernels of 2 x 25 + 9 taps a level, BN's scale and offset, the last 3x3."""
    decoder = DepthDecoder((512, 256, 128), 0.5)
    decoder.build([None, None, None, 1024])
    expected, width = 2 * 1024, 1024
    for channels in (512, 256, 128):
        expected += 50 * width * channels + 9 * channels**2 + 2 * 3 * channels
        width = channels
    expected += 9 * 128 + 1
    parameters = sum(int(tf.size(variable)) for variable in decoder.trainable_variables)
    assert parameters == expected == 37_511_553


def test_dropout_follows_from_its_seed():
    decoder = DepthDecoder((4, 4, 4), 0.5)
    features = np.random.default_rng(0).normal(size=[1, 2, 2, 3]).astype(np.float32)
    first, again, other, none = (
        decoder(features, seed=seed) for seed in ([0, 1], [0, 1], [0, 2], None)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    np.testing.assert_array_equal(none, decoder(features))
