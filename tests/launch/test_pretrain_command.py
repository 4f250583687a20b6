import os
import signal
import subprocess
import sys
import time

import pytest
from built_sets import write_set

from selfsup.pretraining import pretrained_trunk


@pytest.fixture
def data(tmp_path):
    splits = ["train", "validation"]
    write_set(str(tmp_path / "data"), [6, 3], splits=splits, size=(64, 64))
    return str(tmp_path / "data")


def _command(data, model_dir, *flags):
    return [
        sys.executable,
        "-m",
        "launch.pretrain",
        f"--data={data}",
        f"--model_dir={model_dir}",
        "--preset=tiny",
        "--tasks=rotation",
        "--task_set=rotation.batch_size=2",
        "--task_set=rotation.image_size=32",
        *flags,
    ]


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_run_stopped_by_a_signal_resumes_with_the_same_command(
    data, tmp_path, number
):
    model_dir = tmp_path / "run"
    arguments = _command(data, model_dir, "--steps=1000000", "--checkpoint_seconds=1")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    store = pretrained_trunk.checkpoint_store(str(model_dir))
    while store.latest() is None and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(number)
    output = process.communicate()[0]
    assert process.returncode == 0
    assert f"stopped by {number.name} after a checkpoint" in output

    steps = store.read_state(store.latest())["total_steps"]
    arguments = _command(data, model_dir, f"--steps={steps + 2}")
    output = subprocess.run(
        arguments, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert f"resumed from checkpoint-{steps:09d}" in output
    assert "held out  rotation" in output
    assert store.read_state(store.latest())["total_steps"] == steps + 2
    assert os.path.exists(model_dir / "validation.json")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--task_set=rotation.turns=9"], "unknown 'turns'; known: batch_size"),
        (["--data=/nonexistent"], "/nonexistent: no built data set here or below"),
        (["--tasks=rotation,jigsaw"], "unknown task 'jigsaw'"),
    ],
)
def test_bad_flags_give_a_single_line(data, tmp_path, flags, message):
    arguments = _command(data, tmp_path / "run", *flags)
    process = subprocess.run(arguments, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    (line,) = [
        each for each in process.stderr.splitlines() if each.startswith("error: ")
    ]
    assert message in line


def test_a_tf_config_of_one_machine_is_reported(data, tmp_path):
    """The run then uses the devices of this machine."""
    lone = (
        '{"cluster": {"chief": ["host:2222"]}, "task": {"type": "chief", "index": 0}}'
    )
    process = subprocess.run(
        _command(data, tmp_path / "run", "--steps=1", "--groups=rotation:7"),
        env={**os.environ, "TF_CONFIG": lone, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert (
        "TF_CONFIG names no other process: training on this machine" in process.stdout
    )
    assert process.returncode == 1
    assert "7 = 7 devices are requested, but only 1 available: /CPU:0" in process.stderr
