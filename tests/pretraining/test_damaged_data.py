"""Pretraining on shards with damaged bytes."""

import json
import os

import pytest
from built_sets import write_set

from selfsup.common import history
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import manifest, pipeline
from selfsup.pretraining import configuration, pretraining_run, training_data
from selfsup.tasks import task_class

BATCH = 4


def _run(data, model_dir, steps, fraction):
    config = configuration.resolve(
        "tiny",
        ["rotation"],
        task_overrides=[f"rotation.batch_size={BATCH}", "rotation.image_size=32"],
        steps=steps,
        max_lost_fraction=fraction,
    )
    run = pretraining_run.PretrainingRun(config, str(data), str(model_dir))
    run.run(StopSignals())
    return run.engine.groups["rotation"]


@pytest.fixture
def data(tmp_path):
    """Two training shards and a held-out shard; the last two are damaged in the middle."""
    folder = tmp_path / "data"
    splits = ["train", "train", "validation"]
    made = write_set(str(folder), [8, 8, 4], splits=splits, size=(40, 40))
    for shard in made.shards[1:]:
        path = folder / shard.file
        content = bytearray(path.read_bytes())
        content[len(content) // 2 + 40] ^= 1
        path.write_bytes(content)
    return folder


def test_missing_records_are_counted_named_and_reported(data, tmp_path, capsys):
    folder = tmp_path / "run"
    # Resumed half-way: 4 of 16 records are missing in each of the two epochs.
    assert _run(data, folder, 4, 0.3).num_replacements == 4
    assert _run(data, folder, 8, 0.5).num_replacements == 8
    output = capsys.readouterr().out
    assert f"{data}/train-00001.tfrecord: 4 of 8 records can be read" in output
    assert "8 of 32 training examples and 2 held-out examples replaced" in output
    rows = [row for row in history.read(str(folder)) if row["split"] == "train"]
    assert rows[-1]["stand_ins"] == 8
    with open(folder / "validation.json") as file:
        held_out = json.load(file)["held_out"]["rotation"]
    assert held_out["stand_ins"] == 2
    assert held_out["stand_ins_in_training"] == 8


def test_too_many_missing_records_end_the_run(data, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(
        UserError, match=r"rotation: .* max_lost_fraction=0\.1\. .*00001"
    ):
        _run(data, folder, 8, 0.1)
    assert not os.path.exists(folder / "validation.json")


def test_a_file_that_disappears_is_explained(data):
    sets = manifest.find(str(data))
    batches = pipeline.training_batches(
        task_class("rotation")(), pipeline.DatasetSplit(sets, "train"), 1, 0, BATCH
    )
    os.remove(data / "train-00000.tfrecord")
    expected = r"^a file .* longer .*: \S+/train-00000\.tfrecord; No such file.* resume"
    explained = training_data.translate_data_errors()
    with pytest.raises(UserError, match=expected), explained:
        next(iter(batches))
