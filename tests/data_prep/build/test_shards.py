"""Writing a shard, its sidecar, and the check of where the inputs are."""

from __future__ import annotations

import dataclasses
import os

import pytest

from data_prep.build import input_storage, shards
from data_prep.build.input_storage import InputStorage
from data_prep.build.inputs import Input
from data_prep.build.shards import ShardOrder
from selfsup.common.errors import UserError


@pytest.fixture
def job(tmp_path):
    (tmp_path / "out" / ".build").mkdir(parents=True)
    return shards.ShardJob(str(tmp_path / "out"), "train.tfrecord", "train", 0, 1)


def _write(job, convert, storage):
    """Runs a `ShardWriter` on an input; returns (its steps, what it returns)."""
    work = shards.ShardWriter(convert, lambda job: [Input("key")], storage)
    generator = work(ShardOrder(job, {}))
    steps = []
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as stop:
            return steps, stop.value


def test_damaged_shard_or_sidecar_is_not_finished(job, tmp_path):
    steps, result = _write(job, lambda item: [b"x"], InputStorage(()))
    assert steps == ["key", None]
    assert shards.read_result(job) == result
    assert result.records == 1
    sidecar = tmp_path / "out" / ".build" / "train.tfrecord.json"
    text = sidecar.read_text()
    sidecar.write_text(text[:-5])
    assert shards.read_result(job) is None
    sidecar.write_text(text)
    (tmp_path / "out" / "train.tfrecord").write_bytes(b"cut")
    assert shards.read_result(job) is None


def test_folder_that_vanishes_with_the_last_input_of_a_shard(job, folder):
    """The records of that input may be of a file that was cut short."""

    def convert(item):
        folder.rename(folder.with_name("elsewhere"))
        return [b"record"]

    _, result = _write(job, convert, InputStorage.from_paths([str(folder)]))
    assert isinstance(result, shards.ShardFailure)
    assert not os.path.exists(job.path)


def test_empty_mount_point_is_not_the_input_folder(folder):
    """An unmounted disk leaves a folder too, but on another file system."""
    storage = InputStorage.from_paths([str(folder)])
    storage.check()
    ((path, device),) = storage.devices
    elsewhere = dataclasses.replace(storage, devices=((path, device + 1),))
    with pytest.raises(input_storage.StorageUnavailable, match="on another disk"):
        elsewhere.check()
    with pytest.raises(UserError, match="gone: cannot be read"):
        InputStorage.from_paths([str(folder / "gone")])
