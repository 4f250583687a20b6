"""What a whole build makes, and which folders it refuses."""

from __future__ import annotations

import collections
import os

import faulty_inputs
import pytest
import tensorflow as tf

from data_prep.build import dataset_build
from selfsup.common.errors import UserError
from selfsup.data import manifest


def _count_keys(path):
    """Counts the records of a shard by the key of their input."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return collections.Counter(record.decode().split("/")[0] for record in records)


def test_every_usable_input_is_in_exactly_one_shard(built):
    output, made = built
    total = collections.Counter()
    for shard in made.shards:
        total += _count_keys(output / shard.file)
    usable = set(faulty_inputs.KEYS) - faulty_inputs.UNUSABLE
    assert total == dict.fromkeys(usable, faulty_inputs.RECORDS_EACH)


def test_manifest_describes_the_shards(built):
    output, made = built
    assert manifest.find(str(output)) == [made]
    assert [shard.file for shard in made.split("train")] == [
        f"train-{index:05d}-of-00005.tfrecord" for index in range(5)
    ]
    assert {s.file: s.sha256 for s in made.shards} == faulty_inputs.checksums(output)
    for shard in made.shards:
        path = output / shard.file
        assert shard.bytes == path.stat().st_size
        assert shard.records == sum(_count_keys(path).values())
    assert made.inputs == {
        "found": 40,
        "used": 35,
        "set_aside": 5,
        "repaired": 1,
        "counts": {"mended": 2, "refused": 1, "whole": 34},
    }
    assert made.options == {"size": [3, 4], "quality": 95}
    assert made.versions["tensorflow"] == tf.__version__


def test_repaired_inputs_are_listed(built):
    output, _ = built
    text = (output / "repaired.tsv").read_text()
    assert text == f"{faulty_inputs.REPAIRED}\twas\\nbroken\n"


def test_bad_inputs_are_listed_with_their_reasons(built):
    output, _ = built
    lines = (output / "set_aside.tsv").read_text().splitlines()
    assert dict(line.split("\t") for line in lines) == {
        faulty_inputs.REFUSED: "is\\tnot to\\nmy taste",
        faulty_inputs.RAISES: "ZeroDivisionError: by it",
        faulty_inputs.EMPTY: "gave no record",
        faulty_inputs.KILLS: "crashes the decoder: the process was killed by SIGSEGV",
        faulty_inputs.HANGS: "took more than 3 s",
    }


def test_held_out_inputs_are_a_tenth_and_not_in_training(built):
    output, made = built
    (shard,) = made.split("validation")
    held_out = set(_count_keys(output / shard.file))
    assert len(held_out | faulty_inputs.UNUSABLE) <= 4 + len(faulty_inputs.UNUSABLE)
    train = set().union(*(_count_keys(output / s.file) for s in made.split("train")))
    assert not train & held_out


def test_finished_build_is_not_repeated(built, capfd):
    output, made = built
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.tfrecord")}
    assert faulty_inputs.build(output, convert=None) == made
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "40 of 40 inputs are done already" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"size": (3, 4), "quality": 90}}, "quality: 95 then, 90 now"),
        ({"inputs": faulty_inputs.KEYS[1:]}, "40 input files then, 39 now"),
        ({"inputs": ("x", *faulty_inputs.KEYS[1:])}, "the input files are others"),
        ({"directory": os.curdir}, "the input files are others or have changed since"),
        ({"num_shards": 7}, "shards: 6 then, 8 now"),
        (
            {
                "inputs": [
                    dataset_build.Input(key, detail="x") for key in faulty_inputs.KEYS
                ]
            },
            "the input files are others or have changed since",
        ),
    ],
)
def test_another_build_in_the_same_folder_is_refused(built, changes, message):
    output, _ = built
    with pytest.raises(UserError, match=message):
        faulty_inputs.build(output, **changes)


def test_foreign_set_is_not_overwritten(built, tmp_path):
    output, _ = built
    text = (output / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="holds a built set already"):
        faulty_inputs.build(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text


def test_refused_folder_is_left_as_it_was(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UserError, match="other files"):
        faulty_inputs.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_unwritable_output_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        faulty_inputs.build(tmp_path / "file")


def test_no_input_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no input was found"):
        faulty_inputs.build(tmp_path, inputs=())


def test_worker_killed_from_outside_is_no_inputs_fault(tmp_path, capfd):
    """As when memory runs out: the build tries again, then ends and can be resumed."""
    with pytest.raises(UserError, match=r"SIGKILL.*memory.*run the same command again"):
        faulty_inputs.build(
            tmp_path,
            inputs=faulty_inputs.KEYS[:2],
            num_shards=1,
            validation_fraction=0.0,
            convert=faulty_inputs.kill_own_process,
        )
    assert "trying again" in capfd.readouterr().err
    assert not (tmp_path / "manifest.json").exists()
