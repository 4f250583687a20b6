"""The run that all evaluations share, with an evaluation that computes nothing."""

from __future__ import annotations

import os
import signal

import pytest
import tensorflow as tf

from eval import evaluation_run, metrics_file
from eval.evaluation import Evaluation, Report
from eval.settings import Config, Preset, Settings
from selfsup.data import pipeline


class Mock(Evaluation[Config, int]):
    """An evaluation that records which of its methods are called."""

    name = "mock"
    headline = "top5"
    config_class = Config
    presets = {"tiny": Preset("mock", "tiny", {})}
    calls: list[str] = []

    def find_data(self):
        return {"checksum": "1"}

    def build(self, pretrained):
        module = tf.Module()
        module.weight = tf.Variable(0.0)
        return module

    def prepare(self):
        self.calls.append("prepare")
        return {"measured": 3}

    def before_training(self):
        self.calls.append("before_training")

    def training_batches(self, position):
        examples = {"x": tf.zeros([1]), pipeline.REPLACED_SHARD: tf.constant([-1])}
        return tf.data.Dataset.from_tensors(examples).repeat()

    def step(self, examples, number):
        self.calls.append(f"step {int(number)}")
        return {"loss": tf.constant(2.0)}

    def test(self):
        self.calls.append("test")
        return 7

    def save_predictions(self, results):
        assert results == 7
        self.calls.append("save_predictions")

    def draw(self, results):
        assert results == 7
        self.calls.append("draw")

    def report(self, results):
        return Report(
            metrics={"top5": 1.0, "neighbours_top1": 0.5, "loss": 2.0},
            chance={"top1": 0.25, "top5": 1.0},
            remarks=["of little use"],
        )

    def clean_up(self):
        self.calls.append("clean_up")


class Stopping(Mock):
    """Receives a signal in its first step."""

    def step(self, examples, number):
        if int(number) == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(examples, number)


@pytest.fixture
def settings(tmp_path):
    Mock.calls.clear()
    return Settings(
        trunk="random",
        checkpoint=None,
        data="nowhere",
        output=str(tmp_path / "run"),
        preset="tiny",
        depth="tiny",
        lasso=0.0,
        seed=0,
        mixed_precision=False,
        config=Config(steps=2),
    )


def test_methods_are_called_in_order(settings):
    outcome = evaluation_run.run(Mock, settings)
    assert Mock.calls == [
        *("prepare", "before_training", "step 0", "step 1"),
        *("test", "save_predictions", "draw", "clean_up"),
    ]
    assert not outcome.finished_before
    assert outcome.metrics["evaluation"] == "mock"
    assert outcome.metrics["data"] == {"checksum": "1", "measured": 3}
    assert outcome.metrics["details"]["chance"] == {"top1": 0.25, "top5": 1.0}
    assert outcome.metrics["settings"]["config"]["steps"] == 2
    assert os.path.exists(os.path.join(settings.output, "pictures", "curves.png"))


def test_metrics_are_printed_with_chance_levels_and_remarks(settings, capsys):
    evaluation_run.run_and_print(Mock, settings)
    assert capsys.readouterr().out.splitlines() == [
        f"{settings.output}: done",
        "  top5: 1.0000 (chance 1.0000)",
        "  neighbours_top1: 0.5000 (chance 0.2500)",
        "  loss: 2.0000",
        "  of little use",
    ]


def test_a_finished_evaluation_is_not_repeated(settings, capsys):
    metrics = evaluation_run.run(Mock, settings).metrics
    Mock.calls.clear()
    outcome = evaluation_run.run(Mock, settings)
    assert (outcome.metrics, outcome.finished_before) == (metrics, True)
    evaluation_run.run_and_print(Mock, settings)
    assert f"{settings.output}: finished before" in capsys.readouterr().out
    assert not Mock.calls


def test_a_stopped_evaluation_is_resumed(settings, capfd):
    evaluation_run.run_and_print(Stopping, settings)
    output = capfd.readouterr().out
    assert output == "stopped by SIGTERM; run the same command again to resume\n"
    assert not os.path.exists(os.path.join(settings.output, metrics_file.FILE_NAME))
    assert Mock.calls == ["prepare", "before_training", "step 0"]
    Mock.calls.clear()
    metrics = evaluation_run.run(Stopping, settings).metrics
    assert Mock.calls[:2] == ["before_training", "step 1"]
    assert metrics["data"]["measured"] == 3
