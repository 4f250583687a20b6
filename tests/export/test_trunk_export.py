"""Exports, loaded with TensorFlow Hub and with this package."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub

from selfsup.common.errors import UserError
from selfsup.export import trunk_export
from selfsup.keras import keras
from selfsup.tasks.rotation import Rotation, RotationConfig
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm
from selfsup.trunk.block4 import Block4
from selfsup.trunk.classifier import Classifier
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig

CARD = {
    "tasks": {"colorization": {"steps": 12000, "config": {"bins": 313}}},
    "cost": {"total": np.float32(1.5)},
    "data": ["photos"],
    "recalibrated": None,
}
ALPHA = {"colorization": np.array([0.6, 0.0, 0.0, 0.0, -0.8], np.float32)}


def images(*size, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((batch, *size, 3), np.float32)


@pytest.fixture(scope="module")
def parts():
    keras.utils.set_random_seed(0)
    trunk = ResNetV2(TrunkConfig("tiny", mixed_precision=True))
    block4 = Block4(trunk.config)
    recalibrate_batch_norm(trunk, [images(48, 48, batch=4)], block4=block4)
    return trunk, block4, Classifier(7, block4.channels)


@pytest.fixture(scope="module")
def head():
    """A head whose moving averages are not the initial ones."""
    keras.utils.set_random_seed(1)
    config = RotationConfig(channels=16, bottleneck_channels=8)
    head = Rotation(config).build_head()
    for seed in range(3):
        head(tf.random.stateless_normal([8, 6, 6, 192], [seed, 0]) + 1, training=True)
    return head


@pytest.fixture(scope="module")
def directory(parts, head, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model"
    trunk, block4, logits = parts
    trunk_export.save(
        path,
        trunk,
        block4=block4,
        logits=logits,
        heads={"rotation": head},
        unit_weights=ALPHA,
        card=CARD,
    )
    return str(path)


@pytest.fixture(scope="module")
def loaded(directory):
    return hub.load(directory)


@pytest.fixture(scope="module")
def rebuilt(directory):
    return trunk_export.load_trunk(directory)


def assert_close(left, right):
    np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (61, 43), (33, 72)])
def test_any_size_equals_the_rebuilt_trunk(loaded, rebuilt, size):
    batch = images(*size, batch=3)
    assert loaded(batch).shape == (3, -(-size[0] // 8), -(-size[1] // 8), 192)
    assert_close(loaded(batch), rebuilt(batch))


def test_unit_outputs_and_their_combination(loaded, rebuilt):
    batch = images(40, 48)
    units = loaded.unit_outputs(batch)
    assert sorted(units) == [f"block3/unit_{m}" for m in range(1, 6)]
    for m, expected in enumerate(rebuilt.unit_outputs(batch), start=1):
        assert_close(units[f"block3/unit_{m}"], expected)
    mixed = loaded.combined(batch, loaded.alpha["colorization"])
    assert_close(mixed, 0.6 * units["block3/unit_1"] - 0.8 * units["block3/unit_5"])


def test_serving_signature(loaded):
    batch = tf.constant(images(33, 40))
    serve = loaded.signatures["serving_default"]
    np.testing.assert_array_equal(serve(inputs=batch)["features"], loaded(batch))


def test_block4_and_logits(loaded, directory):
    features = loaded(images(48, 48))
    block4, logits = (
        trunk_export.load_block4(directory),
        trunk_export.load_logits(directory),
    )
    expected = block4(features)
    assert_close(loaded.block4(features), expected)
    assert_close(loaded.logits(expected), logits(expected))
    assert loaded.block4(features, training=True).shape == expected.shape
    assert len(loaded.block4.trainable_variables) == len(block4.trainable_variables)


def test_a_tasks_head_under_its_own_name(loaded, head, directory):
    assert list(loaded.heads) == ["rotation"]
    exported = loaded.heads["rotation"]
    for size in ((48, 48), (61, 43)):
        features = loaded(images(*size, batch=3))
        assert exported(features).shape == (3, 4)
        assert_close(exported(features), head(features))
    assert_close(exported(features, training=True), head(features, training=True))
    assert len(exported.trainable_variables) == len(head.trainable_variables)
    assert_close(exported.regularization_losses[0](), tf.add_n(head.losses))
    parameters = sum(int(np.prod(v.shape)) for v in head.trainable_variables)
    card = trunk_export.load_card(directory)
    assert card["network"]["trainable_parameters"]["rotation"] == parameters


def test_exports_of_a_mixed_precision_trunk_are_float32(parts, rebuilt, directory):
    assert not rebuilt.config.mixed_precision
    mixed = trunk_export.load_trunk(directory, mixed_precision=True)
    batch = images(48, 48)
    np.testing.assert_array_equal(mixed(batch), parts[0](batch))


def test_rebuilds_at_another_stride(rebuilt, directory):
    other = trunk_export.load_trunk(directory, output_stride=32)
    batch = images(61, 43)
    assert other.config.output_stride == 32
    np.testing.assert_array_equal(other(batch), rebuilt(batch, output_stride=32))
    for left, right in zip(other.variables, rebuilt.variables):
        np.testing.assert_array_equal(left, right)


def test_regularization_equals_the_trunks(loaded, rebuilt):
    total = sum(loss() for loss in loaded.regularization_losses)
    np.testing.assert_allclose(total, tf.add_n(rebuilt.losses), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16"])
def test_images_of_other_types_equal_float_images(loaded, dtype):
    floats = images(40, 33)
    given = tf.cast(floats * 255, dtype) if dtype == "uint8" else tf.cast(floats, dtype)
    scale = 255.0 if dtype == "uint8" else 1.0
    expected = loaded(tf.cast(given, tf.float32) / scale)
    features = loaded(given)
    assert features.dtype == tf.float32
    # A graph may divide by 255 in another way than the line above.
    assert_close(features, expected)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_gray_images_are_repeated_over_the_channels(loaded, dtype):
    gray = images(40, 33)[..., :1] * (255 if dtype == "uint8" else 1)
    gray = gray.astype(dtype)
    for training in (False, True):
        np.testing.assert_array_equal(
            loaded(gray, training=training),
            loaded(np.repeat(gray, 3, axis=-1), training=training),
        )


def test_two_channels_are_refused(loaded):
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        loaded(images(40, 33)[..., :2])


def fine_tuned(directory, dtype="float32", channels=3):
    """A Keras model on the export, after four steps of training."""
    layer = hub.KerasLayer(directory, trainable=True)
    inputs = keras.Input([None, None, channels], dtype=dtype)
    features = keras.layers.GlobalAveragePooling2D()(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(features))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss)
    batch = images(48, 48, batch=8)[..., :channels]
    batch = (batch * 255).astype(dtype) if dtype == "uint8" else batch
    model.fit(batch, np.arange(8) % 2, batch_size=4, epochs=2, verbose=0)
    return model, layer


def test_fine_tunes_as_a_hub_layer(directory, tmp_path):
    fresh = hub.load(directory)
    model, layer = fine_tuned(directory)
    assert len(layer.trainable_weights) == len(fresh.trainable_variables) > 0
    assert len(layer.losses) == 1
    before = {variable.name: variable.numpy() for variable in fresh.variables}
    unmoved = [
        variable.name
        for variable in layer.variables
        if np.array_equal(variable, before[variable.name])
    ]
    assert unmoved == []

    model.save(tmp_path / "tuned", save_format="tf")
    again = keras.models.load_model(tmp_path / "tuned")
    batch = images(40, 56)
    assert_close(again(batch), model(batch))


@pytest.mark.parametrize(
    ("policy", "dtype", "channels"),
    [
        pytest.param("mixed_float16", "float32", 3, marks=pytest.mark.slow),
        pytest.param("mixed_bfloat16", "uint8", 3, marks=pytest.mark.slow),
        pytest.param("float32", "uint8", 1, marks=pytest.mark.slow),
    ],
)
def test_fine_tunes_under_any_policy_and_on_any_images(
    directory, policy, dtype, channels
):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model, layer = fine_tuned(directory, dtype, channels)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    fresh = {
        variable.name: variable.numpy()
        for variable in hub.load(directory).trainable_variables
    }
    assert all(variable.dtype == tf.float32 for variable in layer.trainable_weights)
    moved = [
        np.any(variable != fresh[variable.name]) for variable in layer.trainable_weights
    ]
    # float16 gradients of the smallest gains may round to nothing.
    assert np.mean(moved) > 0.9
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_a_frozen_hub_layer_changes_no_variable(directory):
    layer = hub.KerasLayer(directory)
    before = [variable.numpy() for variable in layer.variables]
    layer(images(48, 48), training=True)
    assert layer.trainable_weights == []
    for old, new in zip(before, layer.variables):
        np.testing.assert_array_equal(old, new)


def test_model_card(directory):
    card = trunk_export.load_card(directory)
    assert card["tasks"] == CARD["tasks"] and card["cost"] == {"total": 1.5}
    assert card["network"]["channels"] == 192
    assert card["network"]["trainable_parameters"]["trunk"] == 244_368
    assert card["versions"]["tensorflow"] == tf.__version__
    text = (pathlib.Path(directory) / "MODEL_CARD.md").read_text()
    assert "  - steps: 12,000\n  - config:\n    - bins: 313\n" in text
    assert "-> [B, ceil(H / 8), ceil(W / 8), 192]" in text


def test_the_code_of_the_model_card_runs(directory):
    text = (pathlib.Path(directory) / "MODEL_CARD.md").read_text()
    for snippet in text.split("```python\n")[1:]:
        code = snippet.split("```")[0].replace("DIRECTORY", directory)
        scope = {"images": images(48, 48)}
        exec(compile(code, "MODEL_CARD.md", "exec"), scope)
        assert scope["features"].shape[-1] == 192


def test_unit_weights_are_loaded(directory):
    weights = trunk_export.load_unit_weights(directory)
    assert list(weights) == ["colorization"]
    np.testing.assert_array_equal(weights["colorization"], ALPHA["colorization"])


def test_refuses_a_folder_with_files_and_overwrites_on_request(
    parts, tmp_path, monkeypatch
):
    # Its graph takes seconds to trace, and other tests read it.
    monkeypatch.setattr(
        trunk_export.saved_model, "write", lambda *unused, **also_unused: None
    )
    target = tmp_path / "taken"
    target.mkdir()
    (target / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="taken: already exists and is not empty"):
        trunk_export.save(target, parts[0], card={})
    assert (target / "note.txt").read_text() == "mine"
    # Overwriting deletes the folder, so it must be an export.
    with pytest.raises(
        UserError, match="taken: not overwritten, because it is not an export"
    ):
        trunk_export.save(target, parts[0], card={}, overwrite=True)
    assert (target / "note.txt").read_text() == "mine"
    (target / "note.txt").unlink()
    trunk_export.save(target, parts[0], card={})
    (target / "note.txt").write_text("mine")
    trunk_export.save(target, parts[0], card={}, output_stride=32, overwrite=True)
    assert not (target / "note.txt").exists()
    assert trunk_export.load_trunk(target).config.output_stride == 32
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    with pytest.raises(UserError, match="this export has no block4; it has trunk"):
        trunk_export.load_block4(target)
    assert trunk_export.load_unit_weights(target) == {}


def test_a_failure_leaves_no_files(parts, tmp_path, monkeypatch):
    def full_disk(*unused, **also_unused):
        raise OSError("No space left on device")

    monkeypatch.setattr(trunk_export.saved_model, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trunk_export.save(tmp_path / "model", parts[0], card={})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copy(directory, tmp_path):
    """The Keras part of the export, to be damaged."""
    source = pathlib.Path(directory) / "keras"
    (tmp_path / "keras").mkdir()
    for file in source.iterdir():
        (tmp_path / "keras" / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_missing_and_damaged_files_are_user_errors(copy):
    weights = copy / "keras" / "trunk.weights.h5"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"trunk\.weights\.h5: damaged"):
        trunk_export.load_trunk(copy)
    weights.unlink()
    with pytest.raises(UserError, match=r"trunk\.weights\.h5: cannot be read"):
        trunk_export.load_trunk(copy)
    config = copy / "keras" / "config.json"
    config.write_text(json.dumps({"format": "other", "version": 1}))
    with pytest.raises(UserError, match="expected \\('selfsup-trunk', 1\\)"):
        trunk_export.load_trunk(copy)
    config.write_text("{")
    with pytest.raises(UserError, match=r"config\.json: cannot be read"):
        trunk_export.load_trunk(copy)
    with pytest.raises(UserError, match=r"config\.json: cannot be read"):
        trunk_export.load_trunk(copy / "nowhere")
