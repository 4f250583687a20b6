"""What every registered evaluation must fulfil."""

from __future__ import annotations

import dataclasses
import inspect
import os
import pathlib

import depth_sets
import labelled_photos
import numpy as np
import object_sets
import pytest

from eval import evaluation_run, registry, settings
from eval.evaluation import Evaluation
from eval.settings import resolve
from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.export import trunk_export
from selfsup.trunk import REGISTRY, build_trunk
from selfsup.trunk.trunk import TrunkConfig

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_SMALL_MAPS = (
    *("height=48", "width=64", "crop_height=48", "crop_width=48"),
    *("up_projection_1=8", "up_projection_2=8", "up_projection_3=8"),
    *("batch_size=2", "batch_norm_images=4"),
)
# Overrides that make the network of an evaluation small; others run as they are.
SMALL = {
    "imagenet_linear": (
        *("batch_size=4", "image_size=48", "statistics_images=8"),
        "augmented_views=0",
    ),
    "few_labels": (
        *("batch_size=4", "image_size=48", "batch_norm_images=8"),
        *("shares=[0.1, 1]", "epochs=[1, 1]", "min_steps=100"),
    ),
    "nyuv2_depth": _SMALL_MAPS,
    "nyuv2_normals": _SMALL_MAPS,
    "voc07_detection": (
        *("min_size=48", "max_size=48", "sizes=1", "test_size=48"),
        *("batch_size=2", "test_batch_size=2", "recalibration_images=4"),
        *("anchor_size=32", "rpn_channels=16", "rpn_samples=16"),
        *("proposals=32", "test_proposals=16", "min_proposal=2", "box_samples=8"),
    ),
}


def _write_photos(folder):
    labels = list(np.arange(24) % len(labelled_photos.CLASSES))
    return labelled_photos.write(folder, {"train": labels, "validation": labels})


def _write_depths(folder):
    scenes = [depth_sets.scene(number, (48, 64)) for number in range(4)]
    depth_sets.write_depth_set(folder, {"train": scenes, "test": scenes})
    return folder


def _write_objects(folder):
    objects = object_sets.scattered(3, "a")
    return object_sets.write(folder, {"train": objects, "test": objects})


DATA = {
    "imagenet_linear": _write_photos,
    "few_labels": _write_photos,
    "nyuv2_depth": _write_depths,
    "nyuv2_normals": _write_depths,
    "voc07_detection": _write_objects,
}

# Evaluations that are not in this table read labelled photos.
each_evaluation = pytest.mark.parametrize("name", registry.EVALUATIONS)


def _settings(name, output, data, trunk="random"):
    evaluation = registry.evaluation_class(name)
    return resolve(
        evaluation.config_class,
        evaluation.presets,
        preset="tiny",
        steps=2,
        overrides=SMALL.get(name, ()),
        trunk=str(trunk),
        checkpoint=None,
        data=str(data),
        output=str(output),
        lasso=0.0,
        seed=0,
        mixed_precision=False,
    )


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown evaluation 'x'; evaluations are: im"):
        registry.evaluation_class("x")


@each_evaluation
def test_classes_are_complete(name):
    evaluation = registry.evaluation_class(name)
    assert issubclass(evaluation, Evaluation)
    assert not inspect.isabstract(evaluation)
    assert evaluation.name == name
    assert set(evaluation.presets) == {"paper", "small", "tiny"}
    assert issubclass(evaluation.config_class, settings.Config)
    for preset in evaluation.presets.values():
        dataclasses.replace(evaluation.config_class(), **preset.config)


@each_evaluation
def test_every_evaluation_has_a_command_and_a_document(name):
    main = (ROOT / "eval" / name / "__main__.py").read_text(encoding="utf-8")
    assert f'registry.evaluation_class("{name}")' in main
    assert (ROOT / "docs" / "evaluations" / f"{name}.md").exists()


# Other quick tests run these.
_RUN_ELSEWHERE = ("voc07_detection", "nyuv2_depth")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in _RUN_ELSEWHERE))
        for name in registry.EVALUATIONS
    ],
)
def test_a_run_writes_its_files(name, tmp_path):
    made = _settings(
        name, tmp_path / "run", DATA.get(name, _write_photos)(tmp_path / "data")
    )
    evaluation = registry.evaluation_class(name)
    metrics = evaluation_run.run(evaluation, made).metrics
    assert metrics["evaluation"] == name
    assert metrics["headline"] == evaluation.headline
    assert metrics["headline"] in metrics["metrics"]
    assert "checksum" in metrics["data"]
    last = history.read(made.output)[-1]
    assert last["step"] == 2
    assert set(evaluation.curves) <= set(last)
    for metric in metrics["details"].get("chance", {}):
        assert any(known.endswith(metric) for known in metrics["metrics"])
    written = os.listdir(made.output)
    for file in ("checkpoints", "config.json", "history.jsonl", "pictures"):
        assert file in written
    assert "curves.png" in os.listdir(os.path.join(made.output, "pictures"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in REGISTRY if kind != "resnet_v2"])
@each_evaluation
def test_other_kinds_of_trunks_are_evaluated(name, kind, tmp_path):
    """From an export, to the metrics."""
    network = build_trunk(TrunkConfig(kind=kind, depth="tiny"))
    trunk_export.save(tmp_path / "trunk", network, card={})
    data = DATA.get(name, _write_photos)(tmp_path / "data")
    made = _settings(name, tmp_path / "run", data, tmp_path / "trunk")
    metrics = evaluation_run.run(registry.evaluation_class(name), made).metrics
    assert (metrics["trunk"]["network"], metrics["trunk"]["depth"]) == (kind, "tiny")
    assert np.isfinite(metrics["metrics"][metrics["headline"]])
