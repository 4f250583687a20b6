"""The extensions of section 7 in real runs: augmentation, weighting, group penalty."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from built_sets import write_set

from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid.assignment import Assignment
from selfsup.pretraining import configuration, pretrained_trunk
from selfsup.pretraining.pretraining_run import PretrainingRun
from selfsup.pretraining.weighting.weighting import INITIAL_STEPS

TASKS = ("colorization", "rotation")
_SMALL = ["batch_size=2", "image_size=32"]
OVERRIDES = [f"{task}.{text}" for task in TASKS for text in _SMALL]
ON = {"augment": True, "group_lasso": 0.01, "group_units": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_set(str(folder / "photos"), [8], splits=["train"], size=(48, 48))
    return str(folder)


def _run(data, folder, steps, method="uncertainty", assignment=None, **options):
    config = configuration.resolve(
        "tiny",
        TASKS,
        steps=steps,
        task_overrides=OVERRIDES,
        weighting=method,
        **{**ON, **options},
    )
    config = dataclasses.replace(config, log_steps=1, validation_steps=10_000)
    run = PretrainingRun(config, data, str(folder), assignment)
    assert run.run(StopSignals())
    return run


def _factors(folder):
    rows = [row for row in history.read(str(folder)) if "rate_factor" in row]
    return {
        task: [row["rate_factor"] for row in rows if row["task"] == task]
        for task in TASKS
    }


@pytest.mark.slow
def test_a_run_with_all_of_them_resumes_and_loads(data, tmp_path):
    before, after = INITIAL_STEPS + 1, INITIAL_STEPS + 4
    _run(data, tmp_path, before)
    run = _run(data, tmp_path, after)
    factors = _factors(tmp_path)
    for task in TASKS:
        assert len(factors[task]) == after
        assert factors[task][:INITIAL_STEPS] == [1.0] * INITIAL_STEPS
        assert factors[task][-1] != 1.0
    rows = [row for row in history.read(str(tmp_path)) if "rate_factor" in row]
    assert all(np.isfinite(row["loss"]) for row in rows)
    # The rate of the preset, after the warm-up.
    for row in rows[-2:]:
        full = run.config.tasks[row["task"]].learning_rate
        assert row["learning_rate"] == pytest.approx(full * row["rate_factor"])
    loaded = pretrained_trunk.load(str(tmp_path))
    assert set(loaded.unit_weights) == set(TASKS)
    for row in loaded.unit_weights.values():
        assert np.linalg.norm(row) == pytest.approx(1.0, rel=1e-4)
    for changed in ({"method": "gradnorm"}, {"augment": False}, {"group_lasso": 0.5}):
        with pytest.raises(UserError, match="a run of another configuration"):
            _run(data, tmp_path, after, **changed)


@pytest.mark.slow
def test_groups_on_devices_of_their_own_are_weighted(data, tmp_path):
    devices = {"colorization": ("/CPU:0",), "rotation": ("/CPU:1", "/CPU:2")}
    assignment = Assignment(devices, ("/CPU:3",))
    _run(data, tmp_path, INITIAL_STEPS + 12, "gradnorm", assignment)
    factors = _factors(tmp_path)
    for task in TASKS:
        assert len(factors[task]) == INITIAL_STEPS + 12
        assert factors[task][0] == 1.0
    last = [factors[task][-1] for task in TASKS]
    # The task that is measured last has seen both updates; the other may have finished.
    assert min(last) > 0.0 and last != [1.0, 1.0]


def test_a_run_from_before_the_extensions_may_resume(data, tmp_path):
    config = configuration.resolve("tiny", TASKS, steps=1, task_overrides=OVERRIDES)
    configuration.save_or_compare(config, str(tmp_path))
    path = os.path.join(tmp_path, "config.json")
    with open(path) as file:
        stored = json.load(file)
    for field in (*ON, "weighting"):
        del stored[field]
    with open(path, "w") as file:
        json.dump(stored, file)
    configuration.save_or_compare(config, str(tmp_path))
    other = dataclasses.replace(config, weighting="gradnorm")
    with open(path, "w") as file:
        json.dump(stored, file)
    with pytest.raises(UserError, match="weighting was 'none', now 'gradnorm'"):
        configuration.save_or_compare(other, str(tmp_path))


def test_weighting_is_refused_where_tasks_step_together():
    with pytest.raises(UserError, match=r"^weighting=gradnorm: .* weighting=none"):
        configuration.resolve("tiny", TASKS, weighting="gradnorm", aggregation="sync")
    with pytest.raises(
        UserError, match="unknown 'best'; known: gradnorm, none, uncert"
    ):
        configuration.resolve("tiny", TASKS, weighting="best")
