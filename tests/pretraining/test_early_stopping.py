from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from built_sets import write_set

from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest
from selfsup.pretraining import configuration, pretraining_run
from selfsup.pretraining.early_stopping import OverfittingWatch
from selfsup.pretraining.validation import Validator

_TASK = "motion_segmentation"


def _row(task, step, loss, split="validation"):
    return {"task": task, "split": split, "step": step, "loss": loss}


def _stops(watch, losses):
    """The steps, counted from 1, at which a task with these losses stops."""
    return [step for step, loss in enumerate(losses, 1) if watch.add("a", step, loss)]


@pytest.mark.parametrize(
    ("patience", "losses", "stops"),
    [
        (2, [3.0, 2.0, 2.0, 1.9, 2.0, 1.95, 1.0, 5.0, 5.0, 5.0], [6]),
        (2, [3.0, 2.9, 2.8, 2.7], []),
        (3, [3.0, float("nan"), float("nan"), 2.9, 3.0, 3.0, float("nan")], [7]),
        # A first loss that is not a number is no best loss.
        (2, [float("nan"), 3.0, 2.0, 1.0, 1.5, 1.5], [6]),
        (1, [1.0, 1.0], [2]),
        (0, [1.0, 2.0, 3.0, 4.0], []),
    ],
)
def test_a_task_stops_once_after_its_patience(patience, losses, stops):
    assert _stops(OverfittingWatch(patience), losses) == stops


def test_tasks_are_followed_apart_and_the_best_is_reported():
    watch = OverfittingWatch(2)
    for step, (first, second) in enumerate([(1, 9), (2, 8), (3, 7), (4, 6)], 1):
        assert watch.add("a", 10 * step, first) == (step == 3)
        assert not watch.add("bb", 10 * step, second)
    assert watch.stopped() == {"a": {"step": 30, "best_step": 10, "best_loss": 1}}


def test_the_history_has_all_that_is_needed_to_continue():
    losses = [3.0, 2.0, 2.5, 2.4]
    rows = [_row("a", step, loss) for step, loss in enumerate(losses[:3], 1)]
    rows.insert(1, _row("a", 1, 0.0, split="train"))
    resumed = OverfittingWatch(2, rows)
    assert not resumed.stopped() and resumed.add("a", 4, losses[3])
    rows.append(_row("a", 4, losses[3]))
    assert OverfittingWatch(2, rows).stopped() == resumed.stopped()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    splits = ["train", "validation"]
    kind = manifest.VIDEO_FRAMES
    write_set(str(folder / "videos"), [6, 3], splits=splits, size=(64, 64), kind=kind)
    return str(folder)


def _run(data, folder, steps):
    """Trains up to `steps`, a validation after each; returns the steps taken."""
    overrides = (
        "motion_segmentation.batch_size=2",
        "motion_segmentation.height=32",
        "motion_segmentation.width=32",
        "motion_segmentation.max_scale=2",
    )
    config = configuration.resolve(
        "tiny", [_TASK], task_overrides=overrides, steps=steps, stop_overfitting=2
    )
    config = dataclasses.replace(
        config, validation_steps=1, validation_batches=1, log_steps=1
    )
    run = pretraining_run.PretrainingRun(config, data, folder)
    assert run.run(StopSignals())
    return run.engine.steps()[_TASK]


def test_a_run_stops_a_task_says_so_and_keeps_to_it_when_resumed(
    data, tmp_path, monkeypatch, capsys
):
    """The held-out losses are 1, 2, 2 and so on."""
    losses = itertools.chain([1.0], itertools.repeat(2.0))
    measure = Validator.measure
    monkeypatch.setattr(
        Validator, "measure", lambda self: {**measure(self), "loss": next(losses)}
    )
    folder = str(tmp_path)
    assert _run(data, folder, 5) == 3
    assert _run(data, folder, 6) == 3
    said = capsys.readouterr().out
    assert said.count("takes no more steps after step 3: its lowest held-out loss") == 2
    stop = {"step": 3, "best_step": 1, "best_loss": 1.0}
    with open(tmp_path / "validation.json", encoding="utf-8") as file:
        assert json.load(file)["stopped"] == {_TASK: stop}
    (row,) = [row for row in history.read(folder) if row["split"] == "stopped"]
    assert row == {"task": _TASK, "split": "stopped", "total_steps": 3, **stop}


def test_synchronous_tasks_cannot_stop_apart():
    with pytest.raises(UserError, match=r"^stop_overfitting=3: .* aggregation=sync"):
        configuration.resolve("tiny", [_TASK], aggregation="sync", stop_overfitting=3)
