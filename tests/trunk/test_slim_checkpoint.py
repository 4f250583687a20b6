"""The network equals TF-Slim's with the same random weights and statistics."""

from __future__ import annotations

import numpy as np
import pytest
import slim_reference
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.trunk import slim_checkpoint
from selfsup.trunk.block4 import Block4
from selfsup.trunk.classifier import Classifier
from selfsup.trunk.resnet_v2 import DEPTHS, ResNetV2
from selfsup.trunk.trunk import TrunkConfig

CLASSES = 7
SIZES = {"even": (64, 96), "odd": (65, 97), "mixed": (50, 77)}


def build(depth):
    trunk = ResNetV2(TrunkConfig(depth))
    block4 = Block4(trunk.config)
    return trunk, block4, Classifier(CLASSES, block4.channels)


def images(size, batch=2):
    return np.random.default_rng(1).random((batch, *size, 3), np.float32)


def relative_error(outputs, expected):
    return np.max(np.abs(outputs - expected)) / np.max(np.abs(expected))


def run(network, batch, output_stride, training=False):
    trunk, block4, logits = network
    arguments = {"training": training, "output_stride": output_stride}
    block3 = trunk(batch, **arguments)
    features = block4(block3, **arguments)
    return {"block3": block3, "block4": features, "logits": logits(features)}


def assert_same(outputs, expected):
    for key, value in expected.items():
        assert outputs[key].shape == value.shape, key
        assert relative_error(outputs[key].numpy(), value) < 1e-4, key


@pytest.fixture(scope="module", autouse=True)
def shallow_depth():
    DEPTHS["shallow"] = slim_reference.SHALLOW
    yield
    del DEPTHS["shallow"]


@pytest.fixture(scope="module")
def slim():
    with slim_reference.SlimNetwork(slim_reference.shallow, CLASSES) as network:
        network.run(images((32, 32)), 8)
        yield network


@pytest.fixture(scope="module")
def checkpoint(slim, tmp_path_factory):
    return slim.save(tmp_path_factory.mktemp("slim") / "model.ckpt")


@pytest.fixture(scope="module")
def network(checkpoint):
    parts = build("shallow")
    slim_checkpoint.import_checkpoint(checkpoint, *parts)
    return parts


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_equals_slim(slim, network, size, output_stride):
    batch = images(size)
    expected = slim.run(batch, output_stride)
    assert_same(run(network, batch, output_stride), expected)


@pytest.mark.parametrize("output_stride", [8, pytest.param(32, marks=pytest.mark.slow)])
def test_equals_slim_on_batch_statistics(slim, network, output_stride):
    batch = images((64, 64), batch=3)
    expected = slim.run(batch, output_stride, training=True)
    before = [part.get_weights() for part in network]
    outputs = run(network, batch, output_stride, training=True)
    for part, weights in zip(network, before):
        part.set_weights(weights)
    assert_same(outputs, expected)


@pytest.mark.slow
@pytest.mark.parametrize("depth", ["50", "101", "152"])
def test_equals_slim_in_full(tmp_path, depth):
    slim_network = getattr(slim_reference.resnet_v2, f"resnet_v2_{depth}")
    with slim_reference.SlimNetwork(slim_network, CLASSES) as slim:
        network = build(depth)
        slim.run(images((32, 32)), 8)
        slim_checkpoint.import_checkpoint(slim.save(tmp_path / "full.ckpt"), *network)
        for size, output_stride in [((96, 96), 8), ((97, 95), 16), ((97, 95), 32)]:
            batch = images(size)
            expected = slim.run(batch, output_stride)
            assert_same(run(network, batch, output_stride), expected)


def test_imports_only_the_trunk(checkpoint, network):
    trunk = ResNetV2(TrunkConfig("shallow"))
    slim_checkpoint.import_checkpoint(checkpoint, trunk)
    for variable, expected in zip(trunk.variables, network[0].variables):
        np.testing.assert_array_equal(variable, expected)


def test_reads_the_number_of_classes(checkpoint):
    assert slim_checkpoint.checkpoint_classes(checkpoint) == CLASSES


def rewrite(checkpoint, prefix, change):
    """Writes a copy of a checkpoint with `change` applied to its dict of values."""
    reader = tf.train.load_checkpoint(checkpoint)
    names = reader.get_variable_to_shape_map()
    values = change({name: reader.get_tensor(name) for name in names})
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )
    return str(prefix)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda v: {k: v[k] for k in v if not k.endswith("postnorm/beta")},
            "missing from the checkpoint:\n  postnorm/beta",
        ),
        (
            lambda v: {**v, "shallow/block3/unit_9/conv1/weights": np.ones(3)},
            "matching nothing in the network:\n  block3/unit_9/conv1/weights",
        ),
        (
            lambda v: {**v, "elsewhere/weights": np.ones(3)},
            "matching nothing in the network:\n  elsewhere/weights",
        ),
        (
            lambda v: {**v, "shallow/conv1/biases": np.ones(3, np.float32)},
            r"another shape:\n  conv1/biases is \[3\], expected \[64\]",
        ),
        (lambda v: {"a/weights": np.ones(3)}, "not a Slim resnet_v2 checkpoint"),
    ],
    ids=["missing", "unknown", "outside the scope", "shape", "foreign"],
)
def test_weights_that_do_not_match_are_refused_and_named(
    checkpoint, tmp_path, change, expected
):
    broken = rewrite(checkpoint, tmp_path / "broken.ckpt", change)
    trunk, block4, logits = build("shallow")
    before = trunk.conv1.kernel.numpy()
    with pytest.raises(UserError, match=expected):
        slim_checkpoint.import_checkpoint(broken, trunk, block4, logits)
    np.testing.assert_array_equal(trunk.conv1.kernel, before)


def test_another_depth_is_refused(checkpoint):
    with pytest.raises(UserError, match="block3/unit_6/bottleneck_v2/conv1/weights"):
        slim_checkpoint.import_checkpoint(checkpoint, *build("50"))


def test_a_missing_checkpoint_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no readable TensorFlow checkpoint"):
        slim_checkpoint.import_checkpoint(str(tmp_path / "none.ckpt"), *build("tiny"))
