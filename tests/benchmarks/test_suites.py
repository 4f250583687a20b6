"""Checks that each table of `python -m tests.benchmarks` can be measured."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys

import pytest

SMALL = (
    "relative_position.batch_size=4",
    "colorization.batch_size=2",
    "exemplar.batch_size=8",
    "motion_segmentation.batch_size=2",
)
# Table -> words of its first cells.
ROWS = {
    "trunk": ("training", "inference"),
    "task_parts": ("relative_position", "exemplar", "motion_segmentation"),
    "joint": ("colorization", "exemplar"),
    "evaluations": ("imagenet_linear, training step", "voc07_detection, test"),
    "export": ("1 of 224x224", "2 of 64x64"),
}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("table", ROWS)
def test_a_table_has_ratios(table: str) -> None:
    done = _run(
        *["--preset=tiny", "--rounds=2", "--seconds=0.01", "--sizes=2x64"],
        *[f"--tables={table}", *(f"--task_set={text}" for text in SMALL)],
    )
    assert done.returncode == 0, done.stderr
    for word in ROWS[table]:
        assert f"\n| {word} |" in done.stdout
    ratios = re.findall(r" ([\d.]+|nan|inf) \(([\d.]+) to ([\d.]+)\)", done.stdout)
    assert ratios
    for median, first, third in ratios:
        assert math.isfinite(float(median)) and float(median) > 0
        assert float(first) <= float(median) <= float(third)


def test_unknown_tables_and_sizes_are_refused() -> None:
    done = _run("--tables=trunk,nothing")
    assert done.returncode == 1
    assert "error: --tables=nothing: expected some of trunk, task_parts" in done.stderr
    done = _run("--sizes=96")
    assert "error: --sizes=96: expected BATCHxSIDE" in done.stderr
