"""The command, killed, stopped, resumed and finished; slow."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from eval import metrics_file
from selfsup.common import history

pytestmark = pytest.mark.slow
SETTINGS = ("steps=150", "batch_size=8", "image_size=48", "statistics_images=32")


def _start(photos, output, *more):
    words = [f"--trunk=random --data={photos} --output={output} --preset=tiny", *more]
    flags = " ".join(words).split() + [f"--set={text}" for text in SETTINGS]
    return subprocess.Popen(
        [sys.executable, "-m", "eval.imagenet_linear", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(process):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def _wait_for_steps(process, output):
    """Waits until some steps are in the history."""
    while process.poll() is None and not history.read(output):
        time.sleep(0.05)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, photos):
    output = str(tmp_path_factory.mktemp("straight"))
    assert "top1: " in _finish(_start(photos, output))
    return output


def _assert_same(first, second):
    assert metrics_file.read(first)["metrics"] == metrics_file.read(second)["metrics"]
    with (
        np.load(f"{first}/predictions.npz") as first_arrays,
        np.load(f"{second}/predictions.npz") as second_arrays,
    ):
        np.testing.assert_array_equal(first_arrays["scores"], second_arrays["scores"])


def test_killed_and_run_again_equals_straight(tmp_path, photos, straight):
    output = str(tmp_path / "killed")
    process = _start(photos, output)
    _wait_for_steps(process, output)
    process.kill()
    process.wait()
    assert not os.path.exists(f"{output}/{metrics_file.FILE_NAME}")
    _finish(_start(photos, output))
    _assert_same(output, straight)
    assert "finished before" in _finish(_start(photos, output))


def test_stopped_with_a_checkpoint_and_run_again_equals_straight(
    tmp_path, photos, straight
):
    output = str(tmp_path / "stopped")
    process = _start(photos, output)
    _wait_for_steps(process, output)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM; run the same command again to resume" in _finish(
        process
    )
    (checkpoint,) = os.listdir(f"{output}/checkpoints")
    # Killed after it has resumed, so the steps after the checkpoint are missing.
    process = _start(photos, output)
    time.sleep(1.0)
    process.kill()
    process.wait()
    assert checkpoint in os.listdir(f"{output}/checkpoints")
    _finish(_start(photos, output))
    _assert_same(output, straight)


def test_the_error_for_bad_input_is_a_single_line(tmp_path, photos):
    process = _start(tmp_path, tmp_path / "out")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "no built data set here or below" in output
    assert "Traceback" not in output
