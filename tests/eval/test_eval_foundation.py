"""Settings, trunks of every source, metrics files, and resumable training."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from eval import metrics_file, output_folder, trunks
from eval import settings as eval_settings
from eval.settings import Preset, resolve
from eval.training import Training
from eval.trunk_features import TrunkFeatures
from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import pipeline
from selfsup.export import trunk_export
from selfsup.trunk.block4 import Block4
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig


@dataclasses.dataclass(frozen=True)
class Config(eval_settings.Config):
    steps: int = 100
    learning_rate: float = 0.1


PRESETS = {
    "paper": Preset("full", "101", {}),
    "tiny": Preset("s", "tiny", {"steps": 3}),
}
COMMON = {
    "trunk": "random",
    "checkpoint": None,
    "data": "d",
    "lasso": 0.0,
    "seed": 0,
    "mixed_precision": False,
}


def test_preset_then_texts_then_steps():
    made = resolve(Config, PRESETS, preset="tiny", output="o", **COMMON)
    assert (made.depth, made.config) == ("tiny", Config(steps=3))
    texts = ["learning_rate=0.5", "steps=7"]
    made = resolve(
        Config, PRESETS, preset="tiny", overrides=texts, steps=9, output="o", **COMMON
    )
    assert made.config == Config(steps=9, learning_rate=0.5)


@pytest.mark.parametrize(
    ("preset", "texts", "message"),
    [
        ("huge", [], "^preset: unknown 'huge'; known: paper, tiny"),
        ("tiny", ["rate=1"], "unknown 'rate'; known: batch_size, learning_rate, steps"),
        ("tiny", ["steps=many"], "^set=steps=many: expected int"),
    ],
)
def test_bad_settings_are_named(preset, texts, message):
    with pytest.raises(UserError, match=message):
        resolve(Config, PRESETS, preset=preset, overrides=texts, output="o", **COMMON)


def test_the_depth_of_a_random_trunk_may_be_given():
    made = resolve(Config, PRESETS, preset="tiny", depth="50", output="o", **COMMON)
    assert made.depth == "50"
    with pytest.raises(UserError, match=r"^depth: unknown '34'; known: 101, 152, 50"):
        resolve(Config, PRESETS, preset="tiny", depth="34", output="o", **COMMON)


def test_a_folder_belongs_to_one_run(tmp_path):
    settings = resolve(Config, PRESETS, preset="tiny", output=str(tmp_path), **COMMON)
    with output_folder.opened(settings):
        _refused(settings, "another process")
    with output_folder.opened(settings):
        pass
    _refused(dataclasses.replace(settings, seed=4), "seed was 0, now 4")


def _refused(settings, message):
    with pytest.raises(UserError, match=message), output_folder.opened(settings):
        pass


METRICS = {
    "evaluation": "depth",
    "headline": "under_1.25",
    "trunk": {"kind": "random"},
    "settings": {},
    "data": {},
}


def test_metrics_are_read_back(tmp_path):
    metrics_file.write(tmp_path, metrics={"under_1.25": np.float32(0.5)}, **METRICS)
    fields = metrics_file.read(tmp_path)
    assert fields["metrics"] == {"under_1.25": 0.5}
    assert fields["alpha"] is None
    assert "tensorflow" in fields["versions"]


@pytest.mark.parametrize("metrics", [{"under_1.25": float("nan")}, {"other": 1.0}, {}])
def test_bad_metrics_are_not_written(tmp_path, metrics):
    with pytest.raises(UserError, match="finite numbers"):
        metrics_file.write(tmp_path, metrics=metrics, **METRICS)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", '{"format": "x", "version": 1}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / metrics_file.FILE_NAME).write_text(text)
    with pytest.raises(UserError, match=metrics_file.FILE_NAME):
        metrics_file.read(tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("export") / "trunk")
    trunk = ResNetV2(TrunkConfig(depth="tiny"))
    trunk_export.save(
        folder, trunk, block4=Block4(trunk.config), card={"tasks": {"a": {}}}
    )
    return folder, trunk


def _load(source, **changes):
    options = {"checkpoint": None, "depth": "tiny", "output_stride": 16, "seed": 0}
    return trunks.load(source, **{**options, **changes})


def test_an_export_is_loaded_at_the_stride_asked_for(exported):
    folder, trunk = exported
    loaded = _load(folder)
    assert loaded.trunk.config.output_stride == 16
    assert loaded.block4 is not None
    assert loaded.description["tasks"] == ["a"]
    images = np.random.default_rng(0).random([1, 64, 64, 3], np.float32)
    actual, expected = loaded.trunk(images), trunk(images, output_stride=16)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_trunk_of_another_depth_than_the_preset_prints_a_note(exported, capsys):
    settings = resolve(Config, PRESETS, preset="paper", output="o", **COMMON)
    settings = dataclasses.replace(settings, trunk=exported[0], checkpoint=None)
    assert trunks.load_for(settings, 16).trunk.config.depth == "tiny"
    assert "run the random trunk with depth=tiny" in capsys.readouterr().out
    trunks.load_for(dataclasses.replace(settings, depth="tiny"), 16)
    assert not capsys.readouterr().out


def test_random_trunks_follow_from_the_seed():
    first, again, other = (_load("random", seed=seed).trunk for seed in (1, 1, 2))
    kernels = [trunk.conv1.kernel.numpy() for trunk in (first, again, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.any(kernels[0] != kernels[2])


def test_a_folder_without_a_trunk_is_refused(tmp_path, exported):
    with pytest.raises(UserError, match=f"^trunk={tmp_path}: expected the folder"):
        _load(str(tmp_path))
    with pytest.raises(UserError, match=r"^checkpoint=snapshot-001: only pretraining"):
        _load(exported[0], checkpoint="snapshot-001")


def test_the_lasso_mixes_units():
    trunk = _load("random").trunk
    images = np.random.default_rng(0).random([1, 32, 32, 3], np.float32)
    mixed = TrunkFeatures(trunk, "depth", lasso=0.1)
    expected = sum(trunk.unit_outputs(images)).numpy() * trunk.num_units**-0.5
    np.testing.assert_allclose(mixed(images), expected, rtol=1e-4, atol=1e-3)
    assert float(mixed.penalty()) == pytest.approx(0.1 * trunk.num_units**0.5, rel=1e-5)
    assert len(mixed.alpha()) == trunk.num_units
    plain = TrunkFeatures(trunk, "depth", lasso=0.0)
    np.testing.assert_array_equal(plain(images), trunk(images))
    assert plain.alpha() is None
    assert not plain.alpha_variables()


class Descent(tf.Module):
    """Minimises (w - mean of the batch)^2 on a stream of numbers."""

    def __init__(self, folder, stop_at=None, damaged=False, checksum="1", **options):
        super().__init__()
        self.weight = tf.Variable(0.0)
        self.stop_at = stop_at
        self.damaged = damaged
        self.training = Training(
            str(folder),
            "descent",
            step=self.step,
            batches=self.batches,
            batch_size=2,
            steps=30,
            trackable=self,
            notes={"trunk": "random", "data": {"checksum": checksum}},
            **options,
        )

    def batches(self, position):
        numbers = tf.data.Dataset.counter(position).map(
            lambda n: {
                "x": tf.cast(n % 7, tf.float32),
                pipeline.REPLACED_SHARD: 3 if self.damaged else -1,
            }
        )
        return numbers.batch(2, drop_remainder=True)

    def step(self, examples, number):
        if self.stop_at is not None and int(number) == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        difference = self.weight - tf.reduce_mean(examples["x"])
        self.weight.assign_sub(0.1 * difference)
        return {"loss": difference**2}

    def run(self):
        with StopSignals() as stop:
            return self.training.run(stop)


def test_stopped_and_resumed_equals_straight(tmp_path):
    straight = Descent(tmp_path / "a")
    os.makedirs(tmp_path / "a")
    assert not straight.training.resume()
    assert straight.run()
    os.makedirs(tmp_path / "b")
    assert not Descent(tmp_path / "b", stop_at=13).run()
    resumed = Descent(tmp_path / "b")
    resumed.training.notes["trunk"] = "another"
    assert resumed.training.resume()
    assert resumed.training.number == 14
    assert resumed.training.notes["trunk"] == "random"
    assert resumed.run()
    assert resumed.weight.numpy() == straight.weight.numpy()
    rows = [history.read(tmp_path / name) for name in "ab"]
    assert rows[0][-1]["step"] == rows[1][-1]["step"] == 30
    assert Descent(tmp_path / "b").training.resume()


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    assert not Descent(tmp_path, stop_at=3).run()
    with pytest.raises(UserError, match=r"was started on other data\. .*'1'.*'2'"):
        Descent(tmp_path, checksum="2").training.resume()


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    descent = Descent(tmp_path)
    descent.weight.assign(float("inf"))
    with pytest.raises(UserError, match="not finite at or before step 10"):
        descent.run()
    assert not Descent(tmp_path).training.resume()


def test_damaged_training_shards_are_an_error(tmp_path):
    with pytest.raises(UserError, match="training set is damaged"):
        Descent(tmp_path, damaged=True).run()
