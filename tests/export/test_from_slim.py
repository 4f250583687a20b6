"""Exports of Slim checkpoints, from Python and by the command."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from eval import trunks
from selfsup.common.errors import UserError
from selfsup.export import from_slim, trunk_export
from selfsup.trunk.resnet_v2 import DEPTHS

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "trunk"))
import slim_reference

ROOT = pathlib.Path(__file__).parents[2]
CLASSES = 7


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "launch.import_slim", *arguments],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def images(*size):
    return np.random.default_rng(0).random((2, *size, 3), np.float32)


def assert_equals_slim(directory, slim, size, output_stride):
    """Compares the three rebuilt parts with Slim's, at another output stride."""
    batch = images(*size)
    expected = slim.run(batch, output_stride)
    block3 = trunk_export.load_trunk(directory, output_stride)(batch)
    block4 = trunk_export.load_block4(directory, output_stride)(block3)
    outputs = {
        "block3": block3,
        "block4": block4,
        "logits": trunk_export.load_logits(directory)(block4),
    }
    for name, value in expected.items():
        error = np.max(np.abs(outputs[name] - value)) / np.max(np.abs(value))
        assert error < 1e-4, name


@pytest.fixture
def slim(monkeypatch):
    monkeypatch.setitem(DEPTHS, "shallow", slim_reference.SHALLOW)
    with slim_reference.SlimNetwork(slim_reference.shallow, CLASSES) as network:
        network.run(images(32, 32), 8)
        yield network


def test_a_checkpoint_becomes_an_export(slim, tmp_path):
    checkpoint = slim.save(tmp_path / "model.ckpt-9")
    names = (tmp_path / "model.ckpt-9.index").read_bytes()
    assert b"global_step" in names
    assert b"RMSProp_1" in names and b"ExponentialMovingAverage" in names
    output = str(tmp_path / "out")
    from_slim.export_checkpoint(checkpoint, output, depth="shallow", output_stride=16)
    assert_equals_slim(output, slim, (61, 64), 8)
    card = trunk_export.load_card(output)
    assert card["source"]["classes"] == CLASSES
    assert card["network"]["output_stride"] == 16
    # Evaluations can use the export; detection needs its block 4.
    given = trunks.load(output, checkpoint=None, depth="", output_stride=16, seed=0)
    kernels = [
        block4.units[0].conv1.kernel.numpy()
        for block4 in (given.block4, trunk_export.load_block4(output))
    ]
    np.testing.assert_array_equal(*kernels)


@pytest.mark.slow
def test_a_checkpoint_is_read_with_tensorflows_file_system(slim, tmp_path):
    checkpoint = pathlib.Path(slim.save(tmp_path / "model.ckpt"))
    tf.io.gfile.makedirs("ram://slim")
    for path in tmp_path.glob("model.ckpt*"):
        tf.io.gfile.copy(str(path), f"ram://slim/{path.name}")
    output = str(tmp_path / "out")
    from_slim.export_checkpoint(
        f"ram://slim/{checkpoint.name}", output, depth="shallow"
    )
    assert_equals_slim(output, slim, (33, 32), 16)


def test_a_failed_import_leaves_no_export(slim, tmp_path):
    checkpoint = slim.save(tmp_path / "model.ckpt")
    with pytest.raises(UserError, match="block3/unit_4/bottleneck_v2/conv1/weights"):
        from_slim.export_checkpoint(checkpoint, str(tmp_path / "out"), depth="50")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_command_imports_depth_101(tmp_path):
    network = slim_reference.resnet_v2.resnet_v2_101
    output = str(tmp_path / "out")
    with slim_reference.SlimNetwork(network, CLASSES) as slim:
        slim.run(images(32, 32), 8)
        checkpoint = slim.save(tmp_path / "model.ckpt")
        done = command(f"--checkpoint={checkpoint}", f"--output={output}")
        assert done.returncode == 0, done.stderr
        assert_equals_slim(output, slim, (64, 64), 16)


def test_command_names_a_missing_checkpoint(tmp_path):
    done = command(f"--checkpoint={tmp_path}/no.ckpt", f"--output={tmp_path}/out")
    assert done.returncode == 1
    assert f"error: {tmp_path}/no.ckpt: no readable TensorFlow" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_documents_the_flags():
    done = command("--help")
    assert "Converts a ResNet-v2 checkpoint of TF-Slim" in done.stdout
    for flag in ("--checkpoint", "--output", "--output_stride", "--depth"):
        assert flag in done.stdout
