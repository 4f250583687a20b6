"""The course that all evaluations share, with one that computes nothing."""

import os
import signal

import pytest

from eval import evaluation_run, metrics_file
from eval.imagenet_linear.config import Config
from eval.settings import Settings


@pytest.fixture
def settings(tmp_path):
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
        config=Config(),
    )


def _finish(settings, folder, stop):
    metrics_file.write(
        folder,
        evaluation="mock",
        headline="top5",
        metrics={"top5": 1.0, "neighbours_top1": 0.5, "loss": 2.0},
        trunk={"kind": "random"},
        settings={},
        data={},
        details={"chance": {"top1": 0.25, "top5": 1.0}, "remarks": ["of little use"]},
    )
    return True


def test_the_end_is_told_with_chance_and_remarks(settings, capsys):
    evaluation_run.run_and_tell(settings, _finish)
    assert capsys.readouterr().out.splitlines() == [
        f"{settings.output}: done",
        "  top5: 1.0000 (chance 1.0000)",
        "  neighbours_top1: 0.5000 (chance 0.2500)",
        "  loss: 2.0000",
        "  of little use",
    ]


def test_what_is_finished_is_not_evaluated_again(settings, capsys):
    metrics, before = evaluation_run.run(settings, _finish)
    assert not before
    assert evaluation_run.run(settings, None) == (metrics, True)
    evaluation_run.run_and_tell(settings, None)
    assert f"{settings.output}: finished before" in capsys.readouterr().out


def test_a_signal_is_named(settings, capfd):
    def stopped(settings, folder, stop):
        os.kill(os.getpid(), signal.SIGTERM)
        return stop.received is None

    evaluation_run.run_and_tell(settings, stopped)
    said = capfd.readouterr().out
    assert said == "stopped by SIGTERM; the same command goes on\n"
    assert not os.path.exists(os.path.join(settings.output, metrics_file.FILE_NAME))
