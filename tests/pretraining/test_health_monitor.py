"""What a run logs and prints about dead units and the size of updates."""

import contextlib
import dataclasses
import io

import numpy as np
import pytest
from built_sets import write_set

from selfsup.common import history
from selfsup.common.stop_signals import StopSignals
from selfsup.pretraining import configuration, pretraining_run
from selfsup.pretraining.health_monitor import HealthMonitor

TASKS = ("rotation", "colorization")
_SMALL = (
    "rotation.batch_size=2",
    "rotation.image_size=32",
    "colorization.batch_size=2",
    "colorization.image_size=32",
    "colorization.head_channels=8",
)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A run of 3 steps with dead units in a layer, and the folder of the run."""
    folder = tmp_path_factory.mktemp("health")
    splits = ["train", "validation"]
    write_set(str(folder / "photos"), [4, 2], splits=splits, size=(48, 48))
    config = configuration.resolve("tiny", TASKS, task_overrides=_SMALL, steps=3)
    config = dataclasses.replace(config, log_steps=1, validation_batches=1)
    made = pretraining_run.PretrainingRun(config, str(folder), str(folder / "run"))
    bias = made.network.heads["colorization"].convs[0].bias
    bias.assign([-1e9] * 6 + [0.0] * 2)
    return made, str(folder / "run")


@pytest.fixture(scope="module")
def results(training):
    """The rows of health and the printed text of the run."""
    made, folder = training
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert made.run(StopSignals())
    rows = [row for row in history.read(folder) if row["split"] == "health"]
    return rows, printed.getvalue()


def test_every_task_is_checked_early_and_with_each_validation(results):
    rows, _ = results
    for name in TASKS:
        task_rows = [row for row in rows if row["task"] == name]
        # At 1 and 2, which are powers of two, and at 3, the end.
        assert [row["step"] for row in task_rows] == [1, 2, 3]
        keys = {key for row in task_rows for key in row if "/" in key}
        for sign in ("dead_units", "update_ratio"):
            for part in ("trunk", "head"):
                assert f"{sign}/{part}" in keys
        assert "dead_units/trunk/block3/unit_5/norm2" in keys
        assert "update_ratio/trunk/block3/unit_5/conv3" in keys
        values = [row[key] for row in task_rows for key in keys]
        assert np.all(np.isfinite(values)) and min(values) >= 0
        assert all(row["update_ratio/trunk"] > 0 for row in task_rows)


def test_dead_units_are_counted_and_warned_about_once(results):
    rows, printed = results
    shares = [
        row["dead_units/head/conv1"] for row in rows if row["task"] == "colorization"
    ]
    assert shares == [0.75] * 3
    others = [row for row in rows if row["task"] == "rotation"]
    assert all(row["dead_units/head"] == 0 for row in others)
    warned = [line for line in printed.splitlines() if "are dead" in line]
    (line,) = warned
    assert line.startswith("colorization: 75% of the 8 units of head/conv1")
    assert " task_set=colorization.learning_rate (now 0.0003)" in line


def test_without_held_out_records_updates_are_still_measured(training, results):
    """A warning is repeated only after a check without the problem."""
    made, _ = training
    lines = []
    report = HealthMonitor(made.network, made.engine.groups, {}, lines.append)
    scalars = report.check("rotation")
    assert scalars and all(key.startswith("update_ratio/") for key in scalars)
    assert lines == []
    head = made.network.heads["rotation"].trainable_variables
    kernels = [
        (variable, variable.numpy()) for variable in head if variable.shape.rank > 1
    ]
    for scale, count in ((1e-9, 1), (1e-9, 1), (1.0, 1), (1e-9, 2)):
        for kernel, value in kernels:
            kernel.assign(scale * value)
        report.check("rotation")
        assert len(lines) == count
    assert lines[0].startswith("rotation: a step changes the weights of the head by")
