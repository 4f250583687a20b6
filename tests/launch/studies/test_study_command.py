"""The command on a real, very small study: built, pretrained, evaluated, continued."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from launch.studies import read_results

ROOT = pathlib.Path(__file__).resolve().parents[3]
WORLD = {
    "scale": "tiny",
    "images_per_class": 20,
    "validation_images_per_class": 4,
    "videos": 4,
    "frames": 12,
    "detection_images": 6,
    "depth_images": 7,
}
LINEAR = {
    "name": "imagenet_linear",
    "flags": {
        "preset": "tiny",
        "steps": 2,
        "set": "augmented_views=2 statistics_images=64",
    },
}


def study(folder, snapshots):
    path = folder / "mini.json"
    fields = {
        "rows": ["Random", "RP"],
        # Eight steps of relative position.
        "snapshot_cost": 2.2e-5,
        "snapshots": snapshots,
        "pretraining_flags": {"preset": "tiny"},
        "evaluations": [LINEAR],
        "world": WORLD,
    }
    path.write_text(json.dumps(fields))
    return str(path)


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "launch.study", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_small_study_runs_and_a_longer_one_continues_it(tmp_path):
    output = str(tmp_path / "study")
    flags = [f"--study={study(tmp_path, [1])}", f"--output={output}"]
    text = run(*flags)
    assert "[6/6]" in text and "RP      1 " in text
    assert "started" not in run(*flags)
    flags[0] = f"--study={study(tmp_path, [1, 2])}"
    text = run(*flags)
    assert "started pretrain" in text and "snapshot 1 seed" not in text
    assert "7 done" in run(*flags, "--list")
    results = read_results.read(output)
    costs = {each.snapshot: each.cost for each in results.measurements}
    assert costs[0] == 0 and 2.2e-5 <= costs[1] < 4.4e-5 <= costs[2] < 6e-5
    (pretraining,) = results.pretrainings
    assert pretraining.rows == ("RP",) and pretraining.cost == costs[2]
    for each in results.measurements:
        assert list(each.provenance.data.values()) != [""]
        assert each.provenance.seconds > 0
