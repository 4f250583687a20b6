"""The quickstart as a command: errors at once; a whole run that is interrupted."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from data_prep.sources import demo_samples

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _command(*flags):
    return [sys.executable, "-m", "launch.quickstart", *flags]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--photos=/no"], "error: --photos=/no: is not a folder"),
        (["--photos=."], "error: --photos: .: has no photos in it or below it"),
    ],
)
def test_bad_inputs_are_refused_before_anything_is_written(tmp_path, flags, message):
    done = subprocess.run(
        _command(*flags, "--output=out"),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert done.stderr.startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def samples(tmp_path):
    demo_samples.write_samples(str(tmp_path / "in"), photos=60, videos=1, frames=16)
    return tmp_path / "in"


@pytest.mark.slow
def test_a_quickstart_resumes_and_ends_with_a_page(samples, tmp_path):
    out = tmp_path / "out"
    flags = [
        f"--photos={samples}/photos",
        f"--videos={samples}/videos",
        f"--labelled={samples}/photos",
        f"--output={out}",
        "--steps=12",
        "--evaluation_steps=2",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    process = subprocess.Popen(
        _command(*flags), stdout=subprocess.PIPE, text=True, env=environment
    )
    while not (out / "run" / "config.json").exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    first = process.communicate()[0]
    assert process.returncode == 130
    assert "preset tiny: there is no NVIDIA GPU" in first

    done = subprocess.run(
        _command(*flags), capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/9] build the data set of 60 photos: done" in done.stdout
    assert "time left: about" in done.stdout
    assert "hub.KerasLayer" in done.stdout
    assert json.loads((out / "run" / "config.json").read_text())["steps"] == 12
    metrics = out / "evaluations" / "imagenet_linear"
    assert {each.parent.name for each in metrics.glob("*/metrics.json")} == {
        "pretrained",
        "random",
    }
    page = (out / "report" / "report.html").read_text()
    assert "What a trunk learned from 60 photos and 4 videos" in page
    assert "On your labelled photos" in page

    again = subprocess.run(
        _command(*flags), capture_output=True, text=True, env=environment
    )
    assert again.stdout.count(": done\n") == 9
    assert "$ python" not in again.stdout
