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

from selfsup.data import manifest, records
from selfsup.export import trunk_export
from selfsup.pretraining import pretrained_trunk

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
    (found,) = manifest.find(str(old / "data"))
    assert (found.records("train"), found.records("validation")) == (6, 3)
    paths = [str(old / "data" / shard.file) for shard in found.shards]
    examples = [
        records.parse(serialized, (records.IMAGE, records.LABEL))
        for serialized in tf.data.TFRecordDataset(paths)
    ]
    assert [int(example["label"]) for example in examples] == [0, 1, 2] * 3
    assert {tuple(example["image"].shape) for example in examples} == {(8, 8, 3)}


def test_an_old_run_is_read(old):
    restored = pretrained_trunk.load(str(old / "run"), "checkpoint-000000002")
    assert restored.trunk(np.zeros([1, 32, 32, 3], np.float32)).shape == [1, 4, 4, 192]
    assert list(restored.unit_weights) == ["rotation"]


@pytest.mark.slow
def test_an_old_run_resumes(old):
    options = ["--preset=tiny", "--tasks=rotation", "--lasso=0.1", "--steps=3"]
    options += ["--task_set=rotation.batch_size=4", "--task_set=rotation.image_size=32"]
    _run(old, "launch.pretrain", "--data=data", "--model_dir=run", *options)
    assert (old / "run" / "checkpoints" / "checkpoint-000000003").is_dir()


def test_an_old_export_gives_its_features(old):
    images = np.linspace(0, 1, 64 * 64 * 3, dtype=np.float32).reshape(1, 64, 64, 3)
    expected = [-1.9672369, -6.901498, -1.5364337, -0.22116363]
    loaded = tf.saved_model.load(str(old / "trunk"))
    rebuilt = trunk_export.load_trunk(str(old / "trunk"))
    for features in (loaded(images), rebuilt(images)):
        assert features.shape == [1, 8, 8, 192]
        np.testing.assert_allclose(features[0, 0, 0, :4], expected, rtol=1e-3)
