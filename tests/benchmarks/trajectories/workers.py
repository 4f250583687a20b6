"""Times the same build of a video set with one worker process and with two."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from tests.benchmarks.motion_masks import suites
from tests.benchmarks.motion_masks.scoring import LENGTH
from tests.benchmarks.table import Table
from tests.data_prep.trajectories import scenes

_ROUNDS = 3
_CLIPS = 96


def print_table() -> None:
    """Prints the elapsed seconds of each round, measured alternately."""
    print(f"Build of {_CLIPS} clips")
    table = Table("round", "1 worker, s", "2 workers, s", "times as fast")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _write_clips(folder / "clips")
        for number in range(_ROUNDS):
            seconds = []
            for workers in (1, 2):
                start = time.monotonic()
                _build(folder / "clips", folder / f"{number}-{workers}", workers)
                seconds.append(time.monotonic() - start)
            rows.append([*seconds, seconds[0] / seconds[1]])
            table.add(f"{number + 1}", *_cells(rows[-1]))
    table.add("median", *_cells(np.median(rows, axis=0)))


def _cells(row: Sequence[float]) -> list[str]:
    first, second, ratio = row
    return [f"{first:.0f}", f"{second:.0f}", f"{ratio:.2f}"]


def _write_clips(folder: pathlib.Path) -> None:
    folder.mkdir()
    suite = suites.moving_objects()
    for index in range(_CLIPS):
        images, _ = scenes.render(suite[index % len(suite)], LENGTH + 1)
        # Forwards and backwards: two windows.
        images = np.concatenate([images, images[-2::-1]])
        scenes.write(folder / f"{index}.avi", images)


def _build(clips: pathlib.Path, output: pathlib.Path, workers: int) -> None:
    flags = {
        "input": clips,
        "output": output,
        "workers": workers,
        "frames_per_video": 2,
        "validation_fraction": 0.0,
        "max_foreground": 1.0,
    }
    subprocess.run(
        [
            *(sys.executable, "-m", "data_prep.videos"),
            *(f"--{name}={value}" for name, value in flags.items()),
        ],
        check=True,
        capture_output=True,
    )
