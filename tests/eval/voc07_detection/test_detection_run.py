"""The detection evaluation: its files, resumed runs, and the input that it refuses."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import object_sets
import pytest
import tensorflow as tf

from eval import evaluation_run, metrics_file
from eval.settings import resolve
from eval.voc07_detection import config, dataset
from eval.voc07_detection.evaluation import Voc07Detection
from eval.voc07_detection.score import result_files
from eval.voc07_detection.score.average_precision import mean_average_precision
from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals

SMALL = (
    "min_size=48",
    "max_size=48",
    "sizes=1",
    "batch_size=2",
    "test_size=48",
    "test_batch_size=2",
    "recalibration_images=4",
    "anchor_size=32",
    "anchor_scales=[0.5, 1.0]",
    "rpn_channels=32",
    "rpn_samples=16",
    "proposals=32",
    "test_proposals=16",
    "min_proposal=2",
    "box_samples=8",
    "score_threshold=0.001",
)


def _settings(data, output, *texts, steps=2, preset="tiny", **changes):
    common = {"trunk": "random", "checkpoint": None, "lasso": 0.0, "seed": 0}
    return resolve(
        config.Config,
        config.PRESETS,
        preset=preset,
        steps=steps,
        overrides=(*SMALL, *texts) if preset == "tiny" else texts,
        data=str(data),
        output=str(output),
        mixed_precision=False,
        **{**common, **changes},
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    empty = object_sets.record("V/empty", [])
    return object_sets.write(
        tmp_path_factory.mktemp("data") / "set",
        {
            "train": object_sets.scattered(3, "a"),
            "validation": [empty],
            "test": [*object_sets.scattered(3, "b", seed=1), empty],
        },
    )


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """(settings, metrics) of a run of two steps with the lasso."""
    output = tmp_path_factory.mktemp("run")
    settings = _settings(data, output, lasso=0.1)
    outcome = evaluation_run.run(Voc07Detection, settings)
    assert not outcome.finished_before
    return settings, outcome.metrics


def test_a_run_writes_its_files(finished, data):
    settings, metrics = finished
    assert metrics["evaluation"] == "voc07_detection"
    assert metrics["headline"] == "mAP_0.5"
    assert set(metrics["metrics"]) == {
        "mAP_0.5",
        "mAP_0.75",
    }
    assert metrics["trunk"]["kind"] == "random"
    assert metrics["trunk"]["block4"] is False
    assert metrics["settings"]["config"]["steps"] == 2
    assert metrics["data"]["training_images"] == 4
    assert metrics["data"]["training_images_without_objects"] == 1
    assert metrics["data"]["test_images"] == 4
    assert np.linalg.norm(metrics["alpha"]) == pytest.approx(1.0, abs=1e-5)
    assert len(set(metrics["alpha"])) > 1
    row = history.read(settings.output)[-1]
    assert row["step"] == 2
    assert row["lasso"] == pytest.approx(0.1 * 5**0.5, rel=0.05)
    picture = os.path.join(settings.output, "pictures", "detections.png")
    with open(picture, "rb") as file:
        assert tf.io.decode_png(file.read()).shape[2] == 3


def test_scoring_the_result_files_gives_the_metrics(finished, data):
    settings, metrics = finished
    built = dataset.find(data)
    folder = os.path.join(settings.output, "results")
    detections = result_files.read(folder, "test", built.classes)
    assert sum(len(ids) for ids, _, _ in detections.values()) > 0
    truth = {name: {} for name in object_sets.CLASSES}
    records = tf.data.TFRecordDataset(built.test.files)
    for record in records.map(_truth_of).as_numpy_iterator():
        for label in set(record["classes"].tolist()):
            boxes = record["boxes"][record["classes"] == label]
            voc = boxes[:, [1, 0, 3, 2]] + [1, 1, 0, 0]
            image = record["key"].decode().split("/")[1]
            truth[object_sets.CLASSES[label]][image] = (voc, np.zeros(len(voc), bool))
    for iou in (0.5, 0.75):
        mean, of_class = mean_average_precision(detections, truth, iou)
        assert mean == metrics["metrics"][f"mAP_{iou}"]
        assert of_class == metrics["details"]["average_precision"][str(iou)]


def _truth_of(serialized):
    from selfsup.data import records

    return records.parse(serialized, (records.BOXES,))


def test_a_finished_run_is_not_repeated(finished):
    settings, metrics = finished
    outcome = evaluation_run.run(Voc07Detection, settings)
    assert (outcome.metrics, outcome.finished_before) == (metrics, True)


def test_a_folder_refuses_other_settings(finished):
    settings, _ = finished
    with pytest.raises(UserError, match="seed was 0, now 1"):
        evaluation_run.run(Voc07Detection, dataclasses.replace(settings, seed=1))


def test_a_run_is_not_resumed_on_other_data(finished, tmp_path):
    """The set was built again with other classes while the run was interrupted."""
    settings, _ = finished
    other = object_sets.write(
        tmp_path,
        {"train": object_sets.scattered(2, "a"), "test": object_sets.scattered(1, "b")},
        labels=("circle", "square", "star"),
    )
    settings = dataclasses.replace(settings, data=str(other))
    evaluation = Voc07Detection(settings, settings.output, StopSignals())
    with pytest.raises(UserError, match="was started on other data"):
        evaluation_run.start(evaluation)


# Runs an evaluation that writes a checkpoint after each step.
SCRIPT = """
import functools, json, sys
from eval import evaluation_run
from eval.settings import Settings
from eval.voc07_detection.evaluation import Voc07Detection
from eval.voc07_detection.config import Config
fields = json.loads(sys.argv[1])
for key, value in fields["config"].items():
    if isinstance(value, list):
        fields["config"][key] = tuple(value)
fields["config"] = Config(**fields["config"])
training = functools.partial(evaluation_run.Training, checkpoint_seconds=0.0)
evaluation_run.Training = training
evaluation_run.run(Voc07Detection, Settings(**fields))
"""


def _start(settings):
    arguments = json.dumps(dataclasses.asdict(settings))
    return subprocess.Popen([sys.executable, "-c", SCRIPT, arguments])


@pytest.mark.slow
def test_killed_and_resumed_equals_straight(data, tmp_path):
    straight = _settings(data, tmp_path / "a", steps=12)
    assert _start(straight).wait() == 0
    killed = _settings(data, tmp_path / "b", steps=12)
    process = _start(killed)
    checkpoint = tmp_path / "b" / "checkpoints" / "checkpoint-000000005"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "b" / metrics_file.FILE_NAME).exists()
    assert _start(killed).wait() == 0
    first, second = (metrics_file.read(tmp_path / one) for one in "ab")
    assert first["metrics"] == second["metrics"]
    assert first["details"] == second["details"]
    rows = [history.read(tmp_path / one) for one in "ab"]
    assert rows[0][-1]["loss"] == pytest.approx(rows[1][-1]["loss"], rel=1e-6)


@pytest.mark.slow
def test_images_learned_by_heart_are_detected(tmp_path):
    """Two images, both for training and for the test."""
    things = (
        [
            object_sets.ColoredBox((10, 8, 60, 58), 0),
            object_sets.ColoredBox((50, 76, 90, 116), 1),
        ],
        [object_sets.ColoredBox((30, 40, 84, 94), 2)],
    )
    images = [
        object_sets.record(f"V/{number}", some, size=(96, 128))
        for number, some in enumerate(things)
    ]
    data = object_sets.write(tmp_path / "set", {"train": images, "test": images})
    texts = ("min_size=96", "max_size=96", "test_size=96", "anchor_size=64")
    settings = _settings(data, tmp_path / "run", *texts, steps=300)
    metrics = evaluation_run.run(Voc07Detection, settings).metrics
    assert metrics["metrics"]["mAP_0.5"] == pytest.approx(1.0)


@pytest.mark.slow
def test_a_step_at_the_papers_size(tmp_path):
    """ResNet-101 on the largest canvas, 800x1344."""
    box = object_sets.ColoredBox((40, 60, 240, 330), 1)
    images = [object_sets.record("V/a", [box], size=(333, 500))]
    data = object_sets.write(tmp_path / "set", {"train": images, "test": images})
    settings = _settings(
        data, tmp_path / "run", "min_size=800", "sizes=1", steps=1, preset="paper"
    )
    evaluation = Voc07Detection(settings, str(tmp_path / "run"), StopSignals())
    evaluation_run.start(evaluation)
    kernel = evaluation.trainer.detector.features.trunk.conv1.kernel
    before = kernel.numpy()
    batch = next(iter(evaluation.training_batches(0)))
    assert batch["image"].shape == (1, 800, 1344, 3)
    losses = evaluation.step(
        {key: batch[key] for key in ("image", "size", "boxes", "classes")},
        tf.constant(0),
    )
    assert all(np.isfinite(value) for value in losses.values())
    assert np.any(kernel.numpy() != before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of a training step on 800x1344: {peak:.1f} GiB")
