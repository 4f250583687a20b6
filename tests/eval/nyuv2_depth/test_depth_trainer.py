"""Single steps: the lasso, unknown depth, and the paper's full size."""

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from eval import metrics_file, trunks
from eval.nyuv2_depth import network
from eval.nyuv2_depth.config import Config
from eval.nyuv2_depth.trainer import DepthTrainer
from eval.trunk_features import TrunkFeatures
from selfsup.common import history


def _trainer(config, depth="tiny", lasso=0.0):
    loaded = trunks.load(
        "random", checkpoint=None, depth=depth, output_stride=16, seed=0
    )
    features = TrunkFeatures(loaded.trunk, "nyuv2_depth", lasso)
    made = network.DepthNetwork(features, config.channels, config.dropout)
    return DepthTrainer(made, config, seed=0)


def _examples(config, known=True):
    random = np.random.default_rng(0)
    shape = [config.batch_size, config.height, config.width]
    depth = random.uniform(1, 9, [*shape, 1]).astype(np.float32) * known
    image = random.integers(0, 256, [*shape, 3], np.uint8)
    return {"image": tf.constant(image), "depth": tf.constant(depth)}


SMALL = Config(
    batch_size=2,
    height=32,
    width=48,
    crop_height=32,
    crop_width=48,
    up_projection_1=8,
    up_projection_2=8,
    up_projection_3=8,
)


def test_depth_has_half_the_images_size():
    made = _trainer(SMALL).network
    images = np.random.default_rng(0).random([1, 32, 80, 3]).astype(np.float32)
    depth = made(tf.constant(images), training=True)
    assert depth.shape == (1, 16, 40)
    assert np.all(np.isfinite(depth))


def _eager_step(trainer, examples):
    return DepthTrainer.step.python_function(trainer, examples, tf.constant(0))


def test_a_step_changes_all_weights_and_the_row_of_alpha():
    trainer = _trainer(SMALL, lasso=0.5)
    before = [variable.numpy() for variable in trainer.network.trained_variables()]
    logs = _eager_step(trainer, _examples(SMALL))
    assert np.isfinite(float(logs["loss"]))
    after = [variable.numpy() for variable in trainer.network.trained_variables()]
    moved = [np.any(old != new) for old, new in zip(before, after)]
    # A bias before a batch normalisation has no effect and no gradient.
    names = [variable.name for variable in trainer.network.trained_variables()]
    still = [name for name, changed in zip(names, moved) if not changed]
    assert all("bias" in name for name in still), still
    assert moved[-1]
    alpha = trainer.network.features.alpha()
    assert np.linalg.norm(alpha) == pytest.approx(1, rel=1e-5)


def test_the_lasso_and_weight_decay_are_in_the_penalty():
    plain, mixed = _trainer(SMALL), _trainer(SMALL, lasso=0.5)
    squares = sum(float(tf.reduce_sum(kernel**2)) for kernel in plain.network.kernels())
    expected = 0.5 * SMALL.weight_decay * squares
    assert float(plain._penalty()) == pytest.approx(expected, rel=1e-4)
    kernels = sum(float(tf.reduce_sum(kernel**2)) for kernel in mixed.network.kernels())
    units = mixed.network.features.trunk.num_units
    expected = 0.5 * SMALL.weight_decay * kernels + 0.5 * units**0.5
    assert float(mixed._penalty()) == pytest.approx(expected, rel=1e-4)


def test_a_batch_without_known_depth_only_decays_the_weights():
    trainer = _trainer(SMALL)
    kernel = trainer.network.decoder.depth.kernel
    before = kernel.numpy()
    logs = _eager_step(trainer, _examples(SMALL, known=False))
    assert float(logs["loss"]) == 0
    assert float(logs["under_1.25"]) == 0
    decayed = before * (1 - SMALL.learning_rate * SMALL.weight_decay)
    np.testing.assert_allclose(kernel.numpy(), decayed, rtol=1e-5)


@pytest.mark.slow
def test_a_step_at_the_papers_size(capsys):
    """ResNet-101, 16 crops of 224x304, up-projections of 512, 256 and 128."""
    config = Config()
    trainer = _trainer(config, depth="101")
    started = time.monotonic()
    logs = trainer.step(_examples(config), tf.constant(0))
    assert np.isfinite(float(logs["loss"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with capsys.disabled():
        seconds = time.monotonic() - started
        print(f"\npaper's depth step: {seconds:.0f} s, peak memory {peak:.1f} GiB")
    depth = trainer.network(tf.zeros([1, 240, 320, 3]))
    assert depth.shape == (1, 120, 160)


def _command(photos, output):
    texts = ("height=48", "width=64", "crop_height=48", "crop_width=48", "steps=60")
    return [
        *(sys.executable, "-m", "eval.nyuv2_depth", "--trunk=random"),
        *(f"--data={photos}", f"--output={output}", "--preset=tiny"),
        *(f"--set={text}" for text in texts),
    ]


@pytest.mark.slow
def test_stopped_and_killed_in_mid_run_equals_straight(photos, tmp_path):
    """Stopped with a checkpoint by SIGTERM, resumed, killed by SIGKILL, and finished."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    subprocess.run(_command(photos, straight), check=True)
    assert _interrupt(photos, killed, signal.SIGTERM, after_step=10) == 0
    stopped_at = history.read(killed)[-1]["step"]
    assert 10 <= stopped_at < 60
    status = _interrupt(photos, killed, signal.SIGKILL, after_step=stopped_at + 1)
    assert status == -signal.SIGKILL
    assert not os.path.exists(killed / metrics_file.FILE_NAME)
    subprocess.run(_command(photos, killed), check=True)
    actual, expected = (
        metrics_file.read(folder)["metrics"] for folder in (killed, straight)
    )
    assert actual == pytest.approx(expected, rel=1e-4)


def _interrupt(photos, output, which, after_step):
    """Sends a signal when the history has a step, and returns the exit status."""
    process = subprocess.Popen(_command(photos, output))
    while not any(row["step"] >= after_step for row in _history(output)):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(which)
    return process.wait()


def _history(output):
    return history.read(output) if os.path.isdir(output) else []
