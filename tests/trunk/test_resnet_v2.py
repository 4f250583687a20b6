"""Shapes, sizes, strides, phases and equation (1) of the trunk."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk.block4 import Block4
from selfsup.trunk.classifier import Classifier
from selfsup.trunk.resnet_v2 import DEPTHS, ResNetV2
from selfsup.trunk.trunk import TrunkConfig

GOLDEN = pathlib.Path(__file__).parent / "golden" / "resnet_v2_101.json"
REGENERATE = (
    "the variables of depth 101 changed, so published exports cannot be loaded any "
    "more; if this is intended, document it and regenerate the file with "
    "REGENERATE_GOLDEN=1 python -m pytest tests/trunk/test_resnet_v2.py -k golden"
)


def images(*shape, seed=0):
    return np.random.default_rng(seed).random((*shape, 3), np.float32)


def trained(config, seed=0):
    """A trunk with random statistics, scales and biases."""
    keras.utils.set_random_seed(seed)
    trunk = ResNetV2(config)
    rng = np.random.default_rng(seed)
    for variable in trunk.variables:
        if "kernel" not in variable.name:
            noise = rng.uniform(0.0, 0.4, variable.shape)
            variable.assign_add(noise.astype(np.float32))
    return trunk


def twin(trunk, **changes):
    """A trunk with the same weights and another config."""
    config = {**trunk.get_config()["config"], **changes}
    other = ResNetV2(TrunkConfig(**config))
    other.set_weights(trunk.get_weights())
    return other


@pytest.fixture(scope="module")
def full():
    trunk = ResNetV2(TrunkConfig("101"))
    block4 = Block4(trunk.config)
    return {
        "trunk": trunk,
        "block4": block4,
        "logits": Classifier(1001, block4.channels),
    }


@pytest.fixture(scope="module")
def tiny():
    return trained(TrunkConfig("tiny"))


def parameters(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_parameter_counts(full, tiny):
    assert parameters(full["trunk"]) == 27_558_016
    assert parameters(full["block4"]) == 14_970_880
    assert parameters(full["logits"]) == 2049 * 1001
    assert parameters(tiny) < 1_000_000
    assert (full["trunk"].num_units, full["trunk"].channels) == (23, 1024)


def test_golden_variables(full):
    shapes = {
        variable.name: variable.shape.as_list()
        for part in full.values()
        for variable in part.variables
    }
    if os.environ.get("REGENERATE_GOLDEN"):
        rows = (f" {json.dumps(name)}: {shape}" for name, shape in shapes.items())
        GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    assert shapes == json.loads(GOLDEN.read_text()), REGENERATE


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(64, 96), (61, 43), (33, 48)])
def test_output_size(tiny, size, output_stride):
    outputs = tiny(images(2, *size), output_stride=output_stride)
    height, width = (-(-side // output_stride) for side in size)
    assert outputs.shape == (2, height, width, tiny.channels)
    assert outputs.dtype == tf.float32


def test_a_call_overrides_the_output_stride_of_the_config(tiny):
    batch = images(1, 64, 64)
    other = twin(tiny, output_stride=16)
    np.testing.assert_array_equal(other(batch), tiny(batch, output_stride=16))


def gradients_and_statistics(trunk, batch, unit_weights=None):
    """Training outputs, all gradients, and the moving statistics after the step."""
    with tf.GradientTape() as tape:
        outputs = trunk(batch, training=True, unit_weights=unit_weights)
        loss = tf.reduce_sum(tf.sin(outputs))
    gradients = tape.gradient(loss, trunk.trainable_variables)
    return [outputs, *gradients, *trunk.non_trainable_variables]


@pytest.mark.parametrize("size", [(64, 96), (96, 80), (72, 64)])
def test_space_to_batch_equals_atrous_convolution(size):
    """At stride 8, sizes 8x12 and 12x10 use space-to-batch, and 9x8 does not."""
    dense = trained(TrunkConfig("tiny"))
    atrous = twin(dense, phases=False)
    batch = images(2, *size)
    np.testing.assert_allclose(dense(batch), atrous(batch), rtol=1e-4, atol=1e-4)
    results = gradients_and_statistics(dense, batch)
    expected = gradients_and_statistics(atrous, batch)
    largest = max(np.max(np.abs(value)) for value in expected)
    for left, right in zip(results, expected):
        # The gradient of a bias before a normalisation is zero up to rounding.
        tolerance = max(2e-4 * np.max(np.abs(right)), 1e-5 * largest)
        np.testing.assert_allclose(left, right, rtol=0, atol=tolerance)


def test_space_to_batch_of_block4_equals_atrous_convolution():
    config = TrunkConfig("tiny")
    keras.utils.set_random_seed(0)
    dense, atrous = Block4(config), Block4(TrunkConfig("tiny", phases=False))
    atrous.set_weights(dense.get_weights())
    features = tf.random.stateless_normal([2, 8, 12, 192], [0, 1])
    for output_stride in (8, 16, 32):
        np.testing.assert_allclose(
            dense(features, training=True, output_stride=output_stride),
            atrous(features, training=True, output_stride=output_stride),
            atol=2e-4,
        )


@pytest.mark.parametrize("size", [(64, 64), (61, 43)])
def test_unit_weights_combine_raw_unit_outputs(tiny, size):
    batch = images(2, *size)
    weights = np.random.default_rng(1).normal(size=tiny.num_units).astype(np.float32)
    units = tiny.unit_outputs(batch)
    expected = sum(weight * unit for weight, unit in zip(weights, units))
    mixed = tiny(batch, unit_weights=tf.constant(weights))
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(units[-1], tiny(batch))


def test_combination_is_differentiable_in_weights_and_trunk(tiny):
    batch = images(2, 48, 48)
    weights = tf.Variable(tf.fill([tiny.num_units], 0.3))
    kernels = [unit.conv2.kernel for unit in tiny.block3]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tiny(batch, unit_weights=weights))
    by_weight, *by_kernel = tape.gradient(loss, [weights, *kernels])
    means = [tf.reduce_mean(unit) for unit in tiny.unit_outputs(batch)]
    np.testing.assert_allclose(by_weight, means, rtol=1e-3, atol=1e-6)
    assert all(np.any(gradient) for gradient in by_kernel)


def test_combination_is_refused_at_stride_32(tiny):
    with pytest.raises(UserError, match="cannot be combined at output stride 32"):
        tiny(images(1, 64, 64), output_stride=32, unit_weights=tf.ones([5]))


def test_mixed_precision(tiny):
    mixed = twin(tiny, mixed_precision=True)
    batch = images(2, 64, 64)
    outputs, expected = mixed(batch), tiny(batch)
    assert outputs.dtype == tf.float32
    assert {variable.dtype for variable in mixed.variables} == {tf.float32}
    assert keras.mixed_precision.global_policy().name == "float32"
    error = np.linalg.norm(outputs - expected) / np.linalg.norm(expected)
    assert 0 < error < 0.05
    weights = tf.fill([mixed.num_units], 0.4)
    assert mixed(batch, unit_weights=weights).dtype == tf.float32


def test_trains_in_a_graph_with_a_dynamic_batch(tiny):
    trunk = twin(tiny)
    spec = tf.TensorSpec([None, 48, 48, 3], tf.float32)

    @tf.function(input_signature=[spec])
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(trunk(batch, training=True) ** 2)
        return tape.gradient(loss, trunk.trainable_variables)

    before = trunk.block3[-1].norm2.moving_mean.numpy()
    assert all(np.all(np.isfinite(gradient)) for gradient in step(images(3, 48, 48)))
    assert np.any(trunk.block3[-1].norm2.moving_mean.numpy() != before)


def test_config_round_trip(tiny):
    config = TrunkConfig("tiny", output_stride=16, phases=False, weight_decay=0.5)
    rebuilt = ResNetV2.from_config(ResNetV2(config).get_config())
    assert rebuilt.config == config
    assert Block4.from_config(Block4(config).get_config()).config == config


def test_weight_decay_covers_kernels_only(tiny):
    kernels = [v for v in tiny.variables if v.name.endswith("kernel:0")]
    assert len(tiny.losses) == len(kernels)
    expected = 1e-4 * sum(tf.nn.l2_loss(kernel) for kernel in kernels)
    np.testing.assert_allclose(tf.add_n(tiny.losses), expected, rtol=1e-5)


def test_classifier_is_linear_on_the_mean(tiny):
    classifier = Classifier(3, 4)
    features = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(np.float32)
    kernel, bias = classifier.get_weights()
    expected = features.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(classifier(features), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrunkConfig("34"), "depth=34: expected one of 101, 50"),
        (
            lambda: TrunkConfig(output_stride=4),
            "output_stride=4: expected one of 8, 16, 32",
        ),
    ],
)
def test_bad_configs_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_bad_calls_are_refused(tiny):
    with pytest.raises(UserError, match="output_stride=12: expected one of"):
        tiny(images(1, 32, 32), output_stride=12)
    with pytest.raises(UserError, match=r"floats in \[0, 1\]; received uint8"):
        tiny(np.zeros([1, 32, 32, 3], np.uint8))


def test_depth_table_is_slims():
    slim = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
    units = {name: depth.units for name, depth in DEPTHS.items() if name in slim}
    assert units == slim


def test_a_shallower_trunk_for_cpus_differs_only_in_depth():
    shallow, tiny = DEPTHS["tiny_shallow"], DEPTHS["tiny"]
    assert dataclasses.replace(shallow, units=tiny.units) == tiny
    assert sum(shallow.units[:3]) < sum(tiny.units[:3])
