"""The depth evaluation: its results, stops in mid-run, and the input that it refuses."""

import dataclasses
import json
import os
import signal

import depth_sets
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from eval import evaluation_run, metrics_file, output_folder, predictions_file
from eval.nyuv2_depth import dataset, testing
from eval.nyuv2_depth.config import PRESETS, Config
from eval.nyuv2_depth.evaluation import Nyuv2Depth
from eval.nyuv2_depth.score import scoring
from eval.nyuv2_depth.score.depth_metrics import NAMES, DepthMetrics
from eval.nyuv2_depth.trainer import learning_rate_schedule
from eval.training import Training
from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest

STEPS = 60


@pytest.fixture(scope="module")
def straight(tmp_path_factory, settings_for):
    """(folder, fields of metrics.json) of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("straight")
    outcome = _evaluate(_settings(settings_for, folder))
    assert not outcome.finished_before
    return folder, outcome.metrics


def _evaluate(settings):
    return evaluation_run.run(Nyuv2Depth, settings)


def _settings(settings_for, folder):
    """Without augmentation, because depth is encoded in the brightness."""
    plain = ("crop_width=64", "max_scale=1.0", "max_rotation=0", "color_range=0")
    rates = ("learning_rate=0.05", "decay_share=0.7")
    return settings_for(folder, f"steps={STEPS}", *plain, *rates)


def _truth():
    """The test photos' depths, float32 [6, 48, 64], as conftest has written them."""
    depths = np.stack([depth_sets.scene(number, (48, 64))[1] for number in range(6)])
    depths[1] = 0
    depths[2, :, ::2] = 0
    return depths.astype(np.float32)


def _guess():
    """Metrics of guessing the median depth everywhere."""
    truth, metrics = _truth(), DepthMetrics()
    metrics.add(np.full_like(truth, np.median(truth[truth > 0])), truth, truth > 0)
    return metrics.result()


@pytest.mark.parametrize(
    ("preset", "frames", "steps"),
    [
        ("paper", 12_795, 126_351),
        ("paper", 795, 7_851),
        ("small", 795, 9_938),
        ("tiny", 100, 500),
        ("tiny", 1, 5),
    ],
)
def test_steps_follow_from_the_frames(preset, frames, steps):
    config = dataclasses.replace(Config(), **PRESETS[preset].config)
    made = config.with_steps(frames)
    assert made.steps == steps
    assert dataclasses.replace(config, steps=7).with_steps(frames).steps == 7
    # What is trained is `steps` batches, however many epochs these are.
    assert learning_rate_schedule(made).boundaries[0] == round(0.35 * steps)


@pytest.mark.slow
def test_a_run_of_epochs_prints_its_steps(settings_for, tmp_path, capsys):
    """8 frames in batches of 4: 3 epochs are 6 steps."""
    metrics = _evaluate(settings_for(tmp_path, "epochs=3")).metrics
    message = "training: 6 steps of 4 frames are 3 epochs of 8 frames"
    assert message in capsys.readouterr().out
    assert metrics["settings"]["config"]["steps"] == 6
    assert metrics["settings"]["config"]["epochs"] == 3.0
    assert history.read(tmp_path)[-1]["step"] == 6
    # The same settings find the finished run.
    assert _evaluate(settings_for(tmp_path, "epochs=3")).finished_before
    with pytest.raises(UserError, match=r"config\.epochs was 3\.0, now 4\.0"):
        _evaluate(settings_for(tmp_path, "epochs=4"))


def test_a_folder_without_epochs_is_resumed_by_its_steps(settings_for, tmp_path):
    """An earlier version, whose presets gave steps, wrote such folders."""
    settings = settings_for(tmp_path, "steps=2")
    assert settings.config.epochs != Config().epochs
    stored = dataclasses.asdict(settings)
    del stored["config"]["epochs"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with output_folder.opened(settings):
        pass
    without = settings_for(tmp_path)
    with pytest.raises(UserError, match=r"config\.steps was 2, now 0"):
        output_folder.opened(without).__enter__()


def test_it_learns_depth(straight):
    _, metrics = straight
    measured, guess = metrics["metrics"], _guess()
    assert metrics["headline"] == "under_1.25"
    assert set(measured) == set(NAMES)
    assert measured["under_1.25"] > guess["under_1.25"] + 0.2
    assert measured["mean_absolute_error"] < 0.6 * guess["mean_absolute_error"]


def test_scoring_its_predictions_gives_its_metrics(straight, tmp_path):
    folder, metrics = straight
    truth = tmp_path / "truth.npz"
    keys = [f"test/{number:03d}" for number in range(6)]
    # In another order: they are matched by their keys.
    np.savez(truth, keys=keys[::-1], depths=_truth()[::-1])
    report, _ = scoring.score(folder / predictions_file.FILE_NAME, truth)
    assert report["pixels"] == metrics["details"]["pixels"]
    assert report["images_without_truth"] == 1
    # The set keeps depth in millimetres.
    for name, value in metrics["metrics"].items():
        assert report["metrics"][name] == pytest.approx(value, abs=1e-3)


def test_it_writes_its_files(straight):
    folder, metrics = straight
    # Of six test images, one has no depth and one half of it.
    assert metrics["details"]["pixels"] == 48 * 64 * 9 // 2
    assert metrics["trunk"] == {
        "kind": "random",
        "network": "resnet_v2",
        "depth": "tiny",
        "seed": 0,
    }
    assert metrics["data"]["train"] == {"split": "train", "images": 8}
    assert metrics["data"]["test"] == {"split": "test", "images": 6}
    assert metrics["data"]["sets"][0]["options"] == {"source": "labelled"}
    assert metrics["settings"]["config"]["steps"] == STEPS
    rows = history.read(folder)
    assert rows[-1]["step"] == STEPS
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert os.listdir(folder / "tensorboard")
    picture = np.asarray(Image.open(folder / "pictures" / "depth.png").convert("RGB"))
    assert picture.shape[0] > 300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_a_finished_run_is_read(straight, settings_for):
    folder, metrics = straight
    outcome = _evaluate(_settings(settings_for, folder))
    assert outcome.finished_before
    assert outcome.metrics == metrics


def _stop_at(number, monkeypatch):
    """Sends SIGTERM to the process when it takes a step."""
    take = Training._take

    def stopping(self, batch):
        if self.number == number:
            os.kill(os.getpid(), signal.SIGTERM)
        take(self, batch)

    monkeypatch.setattr(Training, "_take", stopping)


@pytest.mark.slow
def test_stopped_and_resumed_equals_straight(
    straight, settings_for, tmp_path, monkeypatch
):
    settings = _settings(settings_for, tmp_path)
    with monkeypatch.context() as patch:
        _stop_at(17, patch)
        assert _evaluate(settings).stopped_by == "SIGTERM"
    assert not os.path.exists(tmp_path / metrics_file.FILE_NAME)
    metrics = _evaluate(settings).metrics
    for name, value in straight[1]["metrics"].items():
        assert metrics["metrics"][name] == pytest.approx(value, rel=1e-5)


def test_data_must_stay_the_same(straight, settings_for, tmp_path):
    folder, _ = straight
    other = {"train": [depth_sets.scene(9, (48, 64))] * 4}
    other["test"] = other["train"]
    depth_sets.write_depth_set(tmp_path, other)
    settings = dataclasses.replace(_settings(settings_for, folder), data=str(tmp_path))
    evaluation = Nyuv2Depth(settings, str(folder), StopSignals())
    with pytest.raises(UserError, match="was started on other data"):
        evaluation_run.evaluate(evaluation)


def test_sets_without_depth_are_named(tmp_path, settings_for):
    made = depth_sets.write_depth_set(
        tmp_path / "set", {"train": [depth_sets.scene(0, (8, 8))]}
    )
    text = json.loads(made.to_json())
    text["features"] = ["image"]
    (tmp_path / "set" / manifest.FILE_NAME).write_text(json.dumps(text))
    settings = settings_for(tmp_path / "run", data=str(tmp_path))
    with pytest.raises(UserError, match="no data set has the features image, depth"):
        _evaluate(settings)


@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_splits_are_named(split, tmp_path, settings_for):
    depth_sets.write_depth_set(
        tmp_path / "set", {split: [depth_sets.scene(0, (16, 16))]}
    )
    settings = settings_for(tmp_path / "run", data=str(tmp_path))
    missing = {"train": "test", "test": "train"}[split]
    with pytest.raises(UserError, match=rf"split '{missing}'.*{split} \(1\)"):
        _evaluate(settings)


def test_raw_and_labelled_sets_train_together(tmp_path, settings_for):
    """Only the labelled set has a test split."""
    for name, splits in (("raw", ["train"]), ("labelled", ["train", "test"])):
        scenes = {split: [depth_sets.scene(7, (16, 16))] * 3 for split in splits}
        depth_sets.write_depth_set(tmp_path / name, scenes, source=name)
    config = settings_for(tmp_path / "run").config
    description = dataset.DepthDataset(str(tmp_path), config).description
    sources = [built["options"]["source"] for built in description["sets"]]
    assert sources == ["labelled", "raw"]
    counts = [description[part]["images"] for part in ("train", "test")]
    assert counts == [6, 3]


class Echo:
    """A network that takes brightness for depth, at half the resolution."""

    def __call__(self, images):
        halved = tf.nn.avg_pool2d(images, 2, 2, "SAME")[..., 0]
        return depth_sets.NEAR + halved * (depth_sets.FAR - depth_sets.NEAR)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_depth_of_another_size_than_its_photo(factor, tmp_path, settings_for):
    """Both show the same view, and predictions have the size of the truth."""
    pairs = []
    for number in range(5):
        photo, depth = depth_sets.scene(number, (48, 64))
        pairs.append((photo, np.kron(depth, np.ones([factor, factor]))))
    depth_sets.write_depth_set(tmp_path / "set", {"train": pairs, "test": pairs})
    config = settings_for(tmp_path / "run").config
    data = dataset.DepthDataset(str(tmp_path), config)
    batch = next(iter(data.batches(0, 0)))
    assert batch["depth"].shape == (4, 48, 64, 1)
    tested = testing.run(Echo(), data, config, StopSignals())
    metrics = tested.metrics
    assert tested.keys == [f"test/{number:03d}" for number in range(5)]
    assert metrics.pixels == 5 * 48 * 64 * factor**2
    assert metrics.result()["mean_absolute_error"] < 0.05
    assert metrics.result()["under_1.25"] > 0.999
    assert (
        tested.pictures[0].predicted.shape
        == tested.pictures[0].truth.shape
        == (48 * factor, 64 * factor)
    )


def test_the_learning_rate_falls_twice():
    schedule = learning_rate_schedule(Config(steps=1000))
    rates = [float(schedule(step)) for step in (0, 349, 351, 699, 701, 999)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-6)
    assert learning_rate_schedule(Config(steps=1, decay_share=2.0)) == 0.01


def test_a_crop_has_to_fit(settings_for, tmp_path):
    with pytest.raises(UserError, match="crop_height=64: expected at most height=48"):
        _evaluate(settings_for(tmp_path, "crop_height=64"))
    both = settings_for(tmp_path, "crop_height=64", "height=64").config
    assert both.crop_height == both.height == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop_height=40", "crop_height=40: expected a multiple of 16"),
        ("width=0", "width=0: expected a multiple of 16"),
        ("test_split=train", "test_split=train: expected validation or test"),
        ("steps=-1", "steps=-1: expected 0"),
        ("epochs=0", "epochs=0.0: expected more than 0"),
        ("berhu_share=0", "berhu_share=0.0: expected more than 0"),
        ("dropout=1.0", "dropout=1.0: expected 0 to less than 1"),
        ("max_scale=0.5", "max_scale=0.5: expected 1 or more"),
    ],
)
def test_bad_values_are_named(text, message, settings_for, tmp_path):
    with pytest.raises(UserError, match=message):
        settings_for(tmp_path, text)
