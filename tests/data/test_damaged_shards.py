"""Reads shards that are truncated or corrupted."""

import os
import random
import struct

import pytest
import tensorflow as tf
from built_sets import write_set

from selfsup.common.errors import UserError
from selfsup.data import pipeline
from selfsup.data.damage_limit import DamageLimit, count_whole_records

SIZES = [4, 6, 5]


class KeyTask:
    """Returns the keys of records, to test only the pipeline."""

    features = ("image",)

    def preprocess_example(self, record, seed):
        return {"key": record["key"]}


def _starts(content):
    """Returns the offset of each record in a TFRecord file."""
    starts, offset = [], 0
    while offset < len(content):
        starts.append(offset)
        offset += struct.unpack_from("<Q", content, offset)[0] + 16
    return starts


def _flip(content, offset):
    changed = bytearray(content)
    changed[offset] ^= 0x10
    return bytes(changed)


# Damages the fourth record, which starts at byte `start`.
DAMAGE = {
    "cut in the length": lambda content, start: content[: start + 5],
    "cut in the data": lambda content, start: content[: start + 100],
    "cut at a record's end": lambda content, start: content[:start],
    "length": lambda content, start: _flip(content, start + 1),
    # 2^60 bytes, which must not be allocated.
    "giant length": lambda content, start: (
        content[:start] + struct.pack("<Q", 1 << 60) + content[start + 8 :]
    ),
    "data": lambda content, start: _flip(content, start + 200),
    "zeros": lambda content, start: content[:start] + bytes(len(content) - start),
    "other bytes": lambda content, start: (
        content[:start] + random.Random(0).randbytes(len(content) - start)
    ),
}


def _damage(made, shard, kind):
    path = os.path.join(made.directory, made.shards[shard].file)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(DAMAGE[kind](content, _starts(content)[3]))
    return path


def _read(source, position, count):
    """Returns [(key, replaced shard), ...] of training examples."""
    batches = pipeline.training_batches(KeyTask(), source, 7, position, 1)
    pairs = [pipeline.split_replaced_shard(batch) for batch in batches.take(count)]
    return [(int(batch["key"].numpy()[0]), int(tag[0])) for batch, tag in pairs]


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_other_records_replace_those_after_the_damage(tmp_path, kind):
    made = write_set(str(tmp_path), SIZES)
    path = _damage(made, 1, kind)
    assert count_whole_records(path) == 3
    source = pipeline.DatasetSplit([made], "train")
    epoch = _read(source, 0, source.records)
    own = sorted(key for key, tag in epoch if tag == -1)
    assert own == [key for key in range(15) if key not in (7, 8, 9)]
    # The replacements come from the next shard.
    assert sorted(key for key, tag in epoch if tag == 1) == [10, 11, 12]


def test_an_undamaged_set_has_no_replacements(tmp_path):
    source = pipeline.DatasetSplit([write_set(str(tmp_path), SIZES)], "train")
    assert {tag for _, tag in _read(source, 0, 40)} == {-1}
    assert source.damaged == ()


def test_any_position_continues_as_if_read_from_the_start(tmp_path):
    made = write_set(str(tmp_path), [3, 4, 0, 5, 9, 4] * 4)
    for shard, kind in ((1, "data"), (4, "cut in the data"), (23, "zeros")):
        _damage(made, shard, kind)
    source = pipeline.DatasetSplit([made], "train")
    expected = _read(source, 0, 140)
    for position in (1, 60, 99, 101):
        assert _read(source, position, 35) == expected[position : position + 35]


def test_damage_moves_no_other_record(tmp_path):
    """Damaging or repairing a shard between two runs changes only that shard's records."""
    made = write_set(str(tmp_path), SIZES)
    before = _read(pipeline.DatasetSplit([made], "train"), 0, 45)
    _damage(made, 1, "data")
    after = _read(pipeline.DatasetSplit([made], "train"), 0, 45)
    # Three records are missing in each of three epochs; shuffling depends on positions.
    same = [first == second for first, second in zip(before, after)]
    assert same.count(False) == 9
    assert all(ok == (tag == -1) for ok, (_, tag) in zip(same, after))


def test_a_damaged_single_shard_repeats_its_own_records(tmp_path):
    made = write_set(str(tmp_path), [10])
    _damage(made, 0, "data")
    epoch = _read(pipeline.DatasetSplit([made], "train"), 0, 10)
    assert sorted(key for key, tag in epoch if tag == -1) == [0, 1, 2]
    assert sorted(key for key, tag in epoch if tag == 0) == [0, 0, 0, 1, 1, 2, 2]


def test_shards_with_a_wrong_size_are_named_immediately(tmp_path, capfd):
    made = write_set(str(tmp_path), SIZES)
    _damage(made, 2, "cut in the data")
    (tmp_path / made.shards[0].file).write_bytes(b"")
    for _ in range(2):
        assert pipeline.DatasetSplit([made], "train").damaged == (0, 2)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "train-00000.tfrecord: is damaged: it has 0 bytes" in lines[0]
    assert "train-00002.tfrecord: is damaged" in lines[1]


def test_bytes_after_the_records_are_ignored(tmp_path):
    made = write_set(str(tmp_path), SIZES)
    with open(os.path.join(made.directory, made.shards[1].file), "ab") as file:
        file.write(b"more than the manifest says")
    source = pipeline.DatasetSplit([made], "train")
    assert source.damaged == (1,)
    assert {tag for _, tag in _read(source, 0, 15)} == {-1}
    DamageLimit("task", source, 0.0).check_before_training()


def test_a_set_without_a_whole_record_is_an_error(tmp_path):
    made = write_set(str(tmp_path), [2, 1])
    for shard in made.shards:
        (tmp_path / shard.file).write_bytes(bytes(shard.bytes))
    with pytest.raises(UserError, match="no whole record in the train split"):
        pipeline.DatasetSplit([made], "train")


def test_shards_removed_while_reading_are_an_error(tmp_path):
    """A reader that skipped a missing file would try to open it forever."""
    made = write_set(str(tmp_path), SIZES)
    source = pipeline.DatasetSplit([made], "train")
    path = tmp_path / made.shards[1].file
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(tf.errors.NotFoundError, match=r"train-00001\.tfrecord"):
        _read(source, 0, 45)
    for shard in made.shards:
        (tmp_path / shard.file).write_bytes(b"")
    with pytest.raises(tf.errors.InvalidArgumentError, match="no shard has a whole"):
        _read(source, 0, 45)


def test_validation_and_statistics_keep_their_number(tmp_path):
    splits = ["train", "validation", "validation"]
    made = write_set(str(tmp_path), SIZES, splits=splits)
    _damage(made, 1, "data")
    source = pipeline.DatasetSplit([made], "validation")
    batches = pipeline.validation_batches(KeyTask(), source, 7, 11)
    examples, tags = pipeline.split_replaced_shard(next(iter(batches)))
    keys = [int(key) for key in examples["key"].numpy()]
    # The shards take turns; the first has three readable records of six.
    assert keys == [4, 10, 5, 11, 6, 12, 10, 13, 11, 14, 12]
    assert tags.numpy().tolist() == [-1] * 6 + [0, -1, 0, -1, 0]
    assert sum(len(batch) for batch in pipeline.plain_images(source, 8, 4)) == 11


def test_the_limit_is_a_share_of_an_epoch_or_of_the_examples_seen(tmp_path):
    made = write_set(str(tmp_path), [40, 60])
    path = _damage(made, 1, "data")
    limit = DamageLimit("colorization", pipeline.DatasetSplit([made], "train"), 0.1)
    limit.check_before_training()
    assert limit.check_during_training(0, 5, set()) == []
    assert limit.check_during_training(10, 20, {1}) == [
        f"{path}: 3 of 60 records can be read"
    ]
    assert limit.check_during_training(40, 400, {1}) == []
    with pytest.raises(UserError) as error:
        limit.check_during_training(11, 20, {1})
    assert "colorization: 11 of 20 examples replaced records" in str(error.value)
    assert f"max_lost_fraction=0.1. {path}: 3 of 60 records" in str(error.value)


def test_records_missing_by_size_count_before_training(tmp_path):
    made = write_set(str(tmp_path), [40, 60])
    _damage(made, 1, "cut in the data")
    source = pipeline.DatasetSplit([made], "train")
    DamageLimit("exemplar", source, 0.575).check_before_training()
    with pytest.raises(
        UserError, match=r"exemplar: 57 of 100 records are missing.*00001"
    ):
        DamageLimit("exemplar", source, 0.56).check_before_training()
