"""Every kind of trunk is pretrained on the paper's four tasks and exported."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from built_sets import write_set

from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest
from selfsup.export import from_run, trunk_export
from selfsup.pretraining import configuration, pretrained_trunk, pretraining_run
from selfsup.pretraining.network import build_network
from selfsup.pretraining.presets import DEFAULT_TASKS
from selfsup.trunk import REGISTRY

_OVERRIDES = (
    *("relative_position.batch_size=4", "exemplar.batch_size=4"),
    *("colorization.batch_size=2", "colorization.image_size=64"),
    *("motion_segmentation.batch_size=2", "motion_segmentation.height=64"),
    "motion_segmentation.width=96",
)


def _resolve(*trunk_overrides, preset="tiny", tasks=DEFAULT_TASKS, **options):
    return configuration.resolve(
        preset, tasks, trunk_overrides=trunk_overrides, **options
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    splits = ["train", "validation"]
    write_set(str(folder / "photos"), [6, 3], splits=splits, size=(320, 320))
    kind = manifest.VIDEO_FRAMES
    write_set(str(folder / "videos"), [6, 3], splits=splits, size=(64, 96), kind=kind)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in REGISTRY if kind != "resnet_v2"])
def test_a_run_of_all_tasks_with_the_lasso_is_exported(kind, data, tmp_path):
    config = _resolve(f"kind={kind}", task_overrides=_OVERRIDES, lasso=0.01, steps=2)
    config = dataclasses.replace(config, log_steps=1, validation_batches=1)
    folder, output = str(tmp_path / "run"), str(tmp_path / "trunk")
    run = pretraining_run.PretrainingRun(config, data, folder)
    before = [variable.numpy() for variable in run.network.trunk.trainable_variables]
    assert run.run(StopSignals())
    rows = [row for row in history.read(folder) if "loss" in row]
    assert {row["task"] for row in rows} == set(DEFAULT_TASKS)
    assert all(np.isfinite(row["loss"]) for row in rows)
    trained = pretrained_trunk.load(folder).trunk
    assert trained.config.kind == kind
    for old, new in zip(before, trained.trainable_variables):
        assert np.any(old != new), new.name
    from_run.export_run(folder, output, recalibrate_on=data, recalibration_images=4)
    loaded = tf.saved_model.load(output)
    images = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    expected = trunk_export.load_trunk(output)(images)
    np.testing.assert_allclose(loaded(images), expected, rtol=1e-3, atol=1e-3)
    assert set(loaded.alpha) == set(DEFAULT_TASKS)


@pytest.mark.parametrize(
    ("preset", "given", "kind", "depth"),
    [
        ("paper", (), "resnet_v2", "101"),
        ("paper", ("kind=vgg",), "vgg", "16"),
        ("paper", ("kind=vgg", "depth=19"), "vgg", "19"),
        ("paper", ("depth=169", "kind=densenet"), "densenet", "169"),
        ("tiny", ("kind=densenet",), "densenet", "tiny"),
    ],
)
def test_kinds_and_depths_are_chosen_by_overrides(preset, given, kind, depth):
    config = _resolve(*given, preset=preset).trunk
    assert (config.kind, config.depth) == (kind, depth)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["kind=x"], "--trunk_set=kind: unknown 'x'; known: densenet, "),
        (["kind=vgg", "depth=50"], "depth=50: expected one of 16, 19, tiny"),
        (["depth=16"], "--trunk_set=depth=16: depth=16: expected one of 101, 50"),
    ],
)
def test_unknown_names_are_refused_with_the_list(given, message):
    with pytest.raises(UserError, match=message):
        _resolve(*given)


def test_a_head_for_another_kind_of_trunk_is_refused():
    """Even if the number of channels is the same."""
    given = ["imagenet_labels.classes=10", "imagenet_labels.kind=resnet_v2"]
    given.append("imagenet_labels.depth=101")
    labels = {"tasks": ["imagenet_labels"], "preset": "paper", "task_overrides": given}
    config = _resolve("kind=densenet", **labels)
    with pytest.raises(UserError, match="kind=resnet_v2: expected densenet, the kind"):
        build_network(config)
