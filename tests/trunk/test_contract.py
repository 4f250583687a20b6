"""What every registered trunk must fulfil; each kind is tested at its depth "tiny"."""

from __future__ import annotations

import dataclasses
import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf

from selfsup import trunk as registry
from selfsup.common.errors import UserError
from selfsup.export import saved_model, trunk_export
from selfsup.keras import keras
from selfsup.trunk import build_tail, build_trunk, trunk_class
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm
from selfsup.trunk.trunk import Trunk, TrunkConfig

each_kind = pytest.mark.parametrize("kind", registry.REGISTRY)
# Sizes with and without space-to-batch.
SIZES = [(64, 96), (61, 43)]


def _images(*size, batch=2, seed=0):
    return np.random.default_rng(seed).random((batch, *size, 3), np.float32)


@functools.cache
def _tiny(kind):
    """A trunk with random statistics, scales and biases; tests do not change it."""
    return _new(kind)


def _new(kind, **config):
    keras.utils.set_random_seed(0)
    trunk = build_trunk(TrunkConfig(kind=kind, depth="tiny", **config))
    rng = np.random.default_rng(0)
    for variable in trunk.variables:
        if "kernel" not in variable.name:
            variable.assign_add(rng.uniform(0.0, 0.2, variable.shape).astype("float32"))
    return trunk


def _assert_close(values, expected, tolerance=1e-3):
    """That the largest difference is small compared with the largest value."""
    limit = tolerance * max(1e-6, float(np.max(np.abs(expected))))
    np.testing.assert_allclose(values, expected, rtol=0, atol=limit)


def test_unknown_kinds_are_refused_with_the_list():
    with pytest.raises(UserError, match="kind=x: expected one of resnet_v2, vgg"):
        TrunkConfig(kind="x")


@each_kind
def test_the_line_of_the_registry_is_true(kind):
    trunk = trunk_class(kind)
    assert issubclass(trunk, Trunk) and not inspect.isabstract(trunk)
    assert tuple(trunk.depths) == registry.REGISTRY[kind].depths
    assert "tiny" in trunk.depths
    assert f"{kind} ({', '.join(trunk.depths)})" in registry.describe()
    assert set(trunk.combined_strides) <= set(trunk.output_strides)
    # The tasks of the paper need stride 8, the evaluations 16.
    assert {8, 16} <= set(trunk.combined_strides)
    assert inspect.getmodule(trunk).__doc__


@each_kind
def test_configs_of_other_depths_and_strides_are_refused(kind):
    with pytest.raises(UserError, match="depth=34: expected one of "):
        TrunkConfig(kind=kind, depth="34")
    with pytest.raises(UserError, match="output_stride=4: expected one of 8, 16"):
        TrunkConfig(kind=kind, depth="tiny", output_stride=4)


@each_kind
def test_config_round_trip(kind):
    trunk = _tiny(kind)
    rebuilt = type(trunk).from_config(trunk.get_config())
    assert rebuilt.config == trunk.config
    shapes = [(v.name, v.shape) for v in rebuilt.variables]
    assert shapes == [(v.name, v.shape) for v in trunk.variables]
    names = [name for name, _ in shapes]
    assert len(set(names)) == len(names)
    assert all(name.startswith("trunk/") for name in names)


@each_kind
def test_depth_tiny_is_small(kind):
    weights = sum(int(np.prod(v.shape)) for v in _tiny(kind).trainable_variables)
    assert weights < 1_000_000


@each_kind
@pytest.mark.parametrize("size", SIZES)
def test_sizes_units_and_their_sum_at_each_stride(kind, size):
    trunk, images = _tiny(kind), _images(*size)
    weights = np.random.default_rng(1).normal(size=trunk.num_units).astype(np.float32)
    for stride in trunk.output_strides:
        outputs = trunk(images, output_stride=stride)
        height, width = (-(-side // stride) for side in size)
        assert outputs.shape == (2, height, width, trunk.channels)
        assert outputs.dtype == tf.float32
        assert np.all(np.isfinite(outputs))
        units = trunk.unit_outputs(images, output_stride=stride)
        assert len(units) == trunk.num_units == len(set(trunk.unit_names)) > 1
        np.testing.assert_array_equal(units[-1], outputs)
        arguments = {"output_stride": stride, "unit_weights": tf.constant(weights)}
        if stride in trunk.combined_strides:
            expected = sum(weight * unit for weight, unit in zip(weights, units))
            _assert_close(trunk(images, **arguments), expected)
        else:
            with pytest.raises(UserError, match=f"at output stride {stride}"):
                trunk(images, **arguments)


@each_kind
@pytest.mark.parametrize("size", SIZES)
def test_stride_8_contains_the_features_of_stride_16(kind, size):
    """The weights have the same meaning at both strides."""
    trunk, images = _tiny(kind), _images(*size)
    fine, coarse = (trunk(images, output_stride=stride) for stride in (8, 16))
    _assert_close(fine[:, ::2, ::2], coarse)


@each_kind
@pytest.mark.parametrize("size", SIZES)
def test_phases_equal_atrous_convolutions(kind, size):
    """In training too, with the statistics that a step leaves."""
    images, results = _images(*size), []
    for phases in (True, False):
        trunk = _new(kind, phases=phases)
        outputs = trunk(images, training=True)
        results.append([outputs, *trunk.non_trainable_variables])
    for dense, atrous in zip(*results):
        _assert_close(dense, atrous)


@each_kind
def test_gradients_reach_every_weight_in_a_graph_with_a_dynamic_batch(kind):
    trunk = _new(kind)
    weights = tf.Variable(tf.fill([trunk.num_units], 0.3))
    trained = [*trunk.trainable_variables, weights]

    @tf.function(input_signature=[tf.TensorSpec([None, 48, 48, 3], tf.float32)])
    def step(images):
        with tf.GradientTape() as tape:
            features = trunk(images, training=True, unit_weights=weights)
            loss = tf.reduce_sum(tf.sin(features))
        return tape.gradient(loss, trained)

    gradients = step(_images(48, 48, batch=3))
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    assert all(np.any(gradient) for gradient in gradients)


@each_kind
def test_weight_decay_covers_kernels_only(kind):
    trunk = _tiny(kind)
    kernels = [v for v in trunk.trainable_variables if v.shape.rank > 1]
    expected = 1e-4 * sum(tf.nn.l2_loss(kernel) for kernel in kernels)
    np.testing.assert_allclose(tf.add_n(trunk.losses), expected, rtol=1e-5)


@each_kind
def test_mixed_precision(kind):
    mixed, images = _new(kind, mixed_precision=True), _images(64, 64)
    outputs, expected = mixed(images), _tiny(kind)(images)
    assert {variable.dtype for variable in mixed.variables} == {tf.float32}
    assert outputs.dtype == tf.float32
    error = np.linalg.norm(outputs - expected) / np.linalg.norm(expected)
    assert 0 < error < 0.05


@each_kind
def test_integers_are_refused(kind):
    with pytest.raises(UserError, match=r"floats in \[0, 1\]; received uint8"):
        _tiny(kind)(np.zeros([1, 32, 32, 3], np.uint8))


@each_kind
def test_recalibration_gives_the_statistics_of_the_images(kind):
    """Of trunk and tail; inference on the images then equals training mode."""
    trunk, images = _new(kind, output_stride=16), _images(48, 48, batch=6)
    tail = build_tail(trunk.config)
    assert recalibrate_batch_norm(trunk, [images], block4=tail) == 6
    features, expected = trunk(images), trunk(images, training=True)
    _assert_close(features, expected, 2e-3)
    outputs = tail(features)
    assert outputs.shape[:3] == features.shape[:3]
    assert outputs.shape[3] == tail.channels
    assert np.min(outputs) == 0.0  # Rectified.
    _assert_close(outputs, tail(features, training=True), 2e-2)


@each_kind
def test_an_export_gives_the_features_units_and_tail(kind, tmp_path, monkeypatch):
    # Other types of images, for which tracing is slow, do not depend on the trunk.
    monkeypatch.setattr(saved_model, "_DTYPES", (tf.float32,))
    monkeypatch.setattr(saved_model, "_CHANNELS", (3,))
    trunk = _new(kind)
    tail = build_tail(trunk.config)
    rows = {"rotation": np.linspace(-1, 1, trunk.num_units, dtype=np.float32)}
    path = tmp_path / "export"
    trunk_export.save(path, trunk, block4=tail, unit_weights=rows, card={})
    loaded, images = tf.saved_model.load(str(path)), _images(48, 40)
    _assert_close(loaded(images), trunk(images))
    units = loaded.unit_outputs(images)
    assert set(units) == set(trunk.unit_names)
    for name, expected in zip(trunk.unit_names, trunk.unit_outputs(images)):
        _assert_close(units[name], expected)
    alpha = loaded.alpha["rotation"]
    combined = loaded.combined(images, alpha)
    _assert_close(combined, trunk(images, unit_weights=alpha))
    _assert_close(loaded.block4(loaded(images)), tail(trunk(images)))
    rebuilt = trunk_export.load_trunk(path, output_stride=16)
    assert rebuilt.config == dataclasses.replace(trunk.config, output_stride=16)
    np.testing.assert_array_equal(rebuilt(images), trunk(images, output_stride=16))
    stored_tail = trunk_export.load_block4(path)
    np.testing.assert_array_equal(stored_tail(combined), tail(combined))
    card = trunk_export.load_card(path)
    assert card["network"]["architecture"] == f"{trunk.title}, depth tiny"
