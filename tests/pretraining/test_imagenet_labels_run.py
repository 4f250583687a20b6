"""Runs with ImageNet labels: with another task, exported, evaluated."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from built_sets import write_set

from eval import trunks
from selfsup.common import config_file, history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.export import from_run, trunk_export
from selfsup.hybrid import assignment
from selfsup.hybrid.rmsprop import RMSPropConfig
from selfsup.pretraining import configuration, pretrained_trunk, pretraining_run

TASKS = ("imagenet_labels", "rotation")
_OVERRIDES = (
    "imagenet_labels.batch_size=3",
    "imagenet_labels.image_size=64",
    "imagenet_labels.decay_epochs=1",
    "rotation.batch_size=2",
    "rotation.image_size=32",
)


def _config(tasks=TASKS, overrides=_OVERRIDES, **options):
    kept = [text for text in overrides if text.split(".")[0] in tasks]
    config = configuration.resolve("tiny", tasks, task_overrides=kept, **options)
    return dataclasses.replace(config, log_steps=1, validation_batches=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six photos of three classes to train on: two steps are an epoch of labels."""
    folder = tmp_path_factory.mktemp("data")
    splits = ["train", "validation"]
    write_set(str(folder), [6, 3], splits=splits, size=(80, 80))
    return str(folder)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a run of 4 steps per task, and the `PretrainingRun`."""
    folder = str(tmp_path_factory.mktemp("run"))
    training = pretraining_run.PretrainingRun(_config(steps=4), data, folder)
    assert training.run(StopSignals())
    return folder, training


def _images(size=64):
    return np.random.default_rng(0).random([2, size, size, 3], np.float32)


@pytest.mark.slow
def test_tasks_of_different_strides_share_the_trunk(run):
    folder, training = run
    assert training.engine.steps() == dict.fromkeys(TASKS, 4)
    strides = {task.output_stride for task in training.network.tasks.values()}
    assert strides == {8, 32}
    rows = history.read(folder)
    for name in TASKS:
        losses = [r["loss"] for r in rows if r["task"] == name and "loss" in r]
        assert losses and np.all(np.isfinite(losses))
    with open(f"{folder}/validation.json") as file:
        held_out = json.load(file)["held_out"]["imagenet_labels"]
    assert held_out["chance/accuracy"] == pytest.approx(1 / 3)


def test_the_rate_is_multiplied_at_each_epoch(run):
    _assert_rates(run[0], [3e-4, 3e-4, 2.82e-4, 2.82e-4])


def _assert_rates(folder, expected):
    """That those are the rates of the labels' steps, under the warm-up of RMSProp."""
    rates = [
        row["learning_rate"]
        for row in history.read(str(folder))
        if row["task"] == "imagenet_labels" and "learning_rate" in row
    ]
    factors = np.arange(1, len(expected) + 1) / RMSPropConfig().warmup_steps
    np.testing.assert_allclose(rates, expected * factors, rtol=1e-5)


def test_the_classes_are_those_of_the_data(run):
    stored = config_file.read(run[0])["tasks"]["imagenet_labels"]
    assert stored["classes"] == 3


@pytest.mark.slow
def test_an_export_gives_the_networks_own_predictions(run, tmp_path):
    folder, training = run
    output = str(tmp_path / "trunk")
    from_run.export_run(folder, output, output_stride=32)
    loaded = tf.saved_model.load(output)
    logits = loaded.logits(loaded.block4(loaded(_images())))
    expected = training.network("imagenet_labels", _images(), training=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    features = training.network.trunk(_images(), training=False, output_stride=8)
    expected = training.network("rotation", _images(), training=False)
    rotations = loaded.heads["rotation"](features)
    np.testing.assert_allclose(rotations, expected, rtol=1e-3, atol=1e-3)
    facts = {"rotation": "reads features at output stride 8"}
    assert trunk_export.load_card(output)["heads"] == facts
    assert trunks.load(
        output, checkpoint=None, depth="", output_stride=16, seed=0
    ).block4


def test_an_evaluation_of_the_run_gets_block4(run):
    folder, training = run
    loaded = trunks.load(folder, checkpoint=None, depth="", output_stride=16, seed=0)
    assert loaded.block4.config.output_stride == 16
    block4 = loaded.block4
    expected_block4 = training.network.heads["imagenet_labels"].block4
    for value, expected in zip(block4.get_weights(), expected_block4.get_weights()):
        np.testing.assert_array_equal(value, expected)


def test_the_exported_head_is_that_of_the_run(run):
    folder, training = run
    loaded = pretrained_trunk.load(folder)
    assert list(loaded.parts) == ["block4", "logits"]
    assert list(loaded.heads) == ["rotation"]
    exported, trained = loaded.heads["rotation"], training.network.heads["rotation"]
    assert len(exported.variables) == len(trained.variables)
    for value, expected in zip(exported.variables, trained.variables):
        np.testing.assert_array_equal(value, expected)


def test_recalibration_covers_block4(run, data):
    restored = pretrained_trunk.load(run[0])
    postnorm = restored.parts["block4"].postnorm
    before = postnorm.moving_mean.numpy()
    from_run.recalibrate(restored, data, images=4, output_stride=32)
    assert np.abs(postnorm.moving_mean.numpy() - before).max() > 1e-3


def test_the_lasso_is_refused(data, tmp_path):
    with pytest.raises(UserError, match=r"^lasso: imagenet_labels runs the trunk at"):
        pretraining_run.PretrainingRun(_config(lasso=0.1), data, str(tmp_path))


def test_classes_that_do_not_match_are_refused(data, tmp_path):
    overrides = ("imagenet_labels.classes=1000",)
    config = _config(("imagenet_labels",), overrides)
    with pytest.raises(UserError, match="classes=1000: expected 3, the number of"):
        pretraining_run.PretrainingRun(config, data, str(tmp_path))


def test_block4_of_another_depth_is_refused(data, tmp_path):
    overrides = (*_OVERRIDES, "imagenet_labels.depth=50")
    config = _config(("imagenet_labels",), overrides)
    with pytest.raises(UserError, match=r"^imagenet_labels\.depth=50: expected"):
        pretraining_run.PretrainingRun(config, data, str(tmp_path))


def test_a_record_without_a_label_is_named(tmp_path):
    """The manifest names two classes; record 2 has a third class."""
    write_set(str(tmp_path / "data"), [6], size=(80, 80))
    path = tmp_path / "data" / "manifest.json"
    fields = {**json.loads(path.read_text()), "labels": ["a", "b"]}
    path.write_text(json.dumps(fields))
    config = _config(("imagenet_labels",))
    message = (
        r"^bad record [25]: has 2; expected a label from 0 to 1; build the data set"
    )
    with pytest.raises(UserError, match=message):
        training = pretraining_run.PretrainingRun(
            config, str(tmp_path / "data"), str(tmp_path)
        )
        training.run(StopSignals())


def test_a_joint_step_needs_the_same_schedule():
    message = r"imagenet_labels 0\.0003 times 0\.94 every 1 epochs, rotation 0\.0003"
    with pytest.raises(UserError, match=message):
        _config(aggregation="sync")


@pytest.mark.slow
def test_several_devices_and_a_resume_with_one(data, tmp_path):
    """Labels on two replicas at stride 32 and rotation at 8; then on one device."""
    groups = {"imagenet_labels": ("/CPU:1", "/CPU:2"), "rotation": ("/CPU:3",)}
    assigned = assignment.Assignment(groups, ("/CPU:0",))
    training = pretraining_run.PretrainingRun(
        _config(steps=3), data, str(tmp_path), assigned
    )
    assert training.run(StopSignals())
    assert training.engine.steps() == dict.fromkeys(TASKS, 3)
    more = pretraining_run.PretrainingRun(_config(steps=5), data, str(tmp_path))
    assert more.run(StopSignals())
    _assert_rates(tmp_path, [3e-4, 3e-4, 2.82e-4, 2.82e-4, 2.6508e-4])
