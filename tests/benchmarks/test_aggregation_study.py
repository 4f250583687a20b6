"""Checks the study's numbers on example runs, and its problem."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from selfsup.hybrid.group import Group
from tests.benchmarks.aggregation import report, small_problem
from tests.benchmarks.aggregation.study import MODES, Run, Setting

SETTING = Setting(8.0, {"short": 0.03, "long": 0.06}, 8.0)


LOSSES = (4.0, 3.0, 2.0, 1.0, 1.5, 1.0, 1.5, 1.0)


def _run(mode: str, rate: float = 0.001, losses: Sequence[float] = LOSSES) -> Run:
    curve = [(float(second), loss) for second, loss in enumerate(losses)]
    return Run(mode, rate, 0, curve, 40, 1280, 0.5, float(len(losses)))


def test_the_last_worker_of_the_first_task_is_slow() -> None:
    assert SETTING.worker_seconds("short") == [0.03, pytest.approx(0.24)]
    assert SETTING.worker_seconds("long") == [0.06, 0.06]


def test_numbers_of_a_run() -> None:
    run = _run("sync")
    assert report.final_loss(run) == 1.25
    assert report.jitter(run) == pytest.approx(0.5)
    assert report.seconds_to(run, 2.0) == 2.0
    assert report.seconds_to(run, 0.5) is None


def test_table_curves_and_plot_are_written(tmp_path: pathlib.Path) -> None:
    runs = [_run(mode, rate) for rate in (0.001, 0.01) for mode in MODES]
    runs.append(_run("async", 0.01, losses=(3.0, 2.0, 1.0, 0.5)))
    text = report.write(runs, SETTING, str(tmp_path))
    assert (tmp_path / "aggregation.md").read_text() == text
    assert "| 0.001 | sync | 5.0 | 160 | 0.5 | 1.250 | 0.500 |" in text
    assert "| 0.01 | async | 7.5 | 240 | 0.5 | 0.875 (0.500-1.250) |" in text
    assert "| async | 0.01 | 0.875 (0.500-1.250) | 3.0, 2.0 |" in text
    stored = json.loads((tmp_path / "aggregation.json").read_text())
    assert len(stored["runs"]) == 7 and stored["setting"]["slow_factor"] == 8.0
    picture = tf.io.decode_png(tf.io.read_file(str(tmp_path / "aggregation.png")))
    assert np.std(picture.numpy()) > 0


def test_a_group_learns_the_problem_and_logs_when_its_steps_began() -> None:
    problem = small_problem.Problem(0)
    network = small_problem.Network(7)
    workload = problem.workload(network, "short", 0.001, [0.0], lambda: 5)
    group = Group(workload, devices=["/CPU:1"])
    before = float(problem.held_out_loss(network))
    logs = [group.step() for _ in range(25)]
    assert logs[0]["begun_at"] == 5.0
    assert float(problem.held_out_loss(network)) < before
    first = problem.examples("long", 3, 4)[0].numpy()
    np.testing.assert_array_equal(first, problem.examples("long", 3, 4)[0].numpy())
    assert np.abs(first - problem.examples("long", 4, 4)[0].numpy()).max() > 0.1
