"""Files that an earlier version wrote: a data set, a run and an export, still readable.

`old_files/version_0_1.zip` was written by the commands of that version: three commands on
nine small pictures. Large weights were then replaced by a repeated pattern, so that the
archive stays small. If a format has to change, keep reading this file and add a new one.
"""

import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from selfsup.export import trunk_export

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "tests" / "old_files" / "version_0_1.zip"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The folder with `data`, `run` and `trunk` of the earlier version."""
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder / "old"


def _run(folder, module, *arguments):
    command = [sys.executable, "-m", module, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_old_data_set_is_read(old):
    output = _run(old, "data_prep.inspect", "data", "--verify")
    assert "train: 6 records" in output and "validation: 3 records" in output


def test_an_old_run_resumes_and_is_exported(old):
    options = ["--preset=tiny", "--tasks=rotation", "--lasso=0.1", "--steps=3"]
    options += ["--task_set=rotation.batch_size=4", "--task_set=rotation.image_size=32"]
    _run(old, "launch.pretrain", "--data=data", "--model_dir=run", *options)
    assert (old / "run" / "checkpoints" / "checkpoint-000000003").is_dir()
    _run(old, "launch.export", "--model_dir=run", "--output=again")
    assert "rotation" in tf.saved_model.load(str(old / "again")).alpha


def test_an_old_export_gives_its_features(old):
    images = np.linspace(0, 1, 64 * 64 * 3, dtype=np.float32).reshape(1, 64, 64, 3)
    expected = [-1.9672369, -6.901498, -1.5364337, -0.22116363]
    loaded = tf.saved_model.load(str(old / "trunk"))
    rebuilt = trunk_export.load_trunk(str(old / "trunk"))
    for features in (loaded(images), rebuilt(images)):
        assert features.shape == [1, 8, 8, 192]
        np.testing.assert_allclose(features[0, 0, 0, :4], expected, rtol=1e-4)
