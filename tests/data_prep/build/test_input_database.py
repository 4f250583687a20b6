"""Splits and shards of the inputs of a build, and the database that keeps them."""

from __future__ import annotations

import collections
import hashlib
import os
import subprocess
import sys

import faulty_inputs
import pytest

from data_prep.build import input_database
from data_prep.build.inputs import Input
from selfsup.common.errors import UserError


@pytest.fixture
def assign(tmp_path):
    """Assigns inputs; returns (assignment, {split: [keys of each shard]})."""
    (tmp_path / ".build").mkdir()

    def assign_inputs(inputs, fraction=0.05, **places):
        division = input_database.DivisionOptions(0, 1024, fraction)
        assignment = input_database.assign_inputs(
            str(tmp_path), inputs, division, **places
        )
        shards = collections.defaultdict(list)
        for job in assignment.jobs:
            keys = [item.key for item in input_database.read_inputs(job)]
            assert len(keys) == job.count
            assert len(shards[job.split]) == job.index
            shards[job.split].append(keys)
        return assignment, shards

    return assign_inputs


def test_stray_files_in_a_watched_folder_do_not_matter(assign, tmp_path):
    (tmp_path / "in").mkdir()
    before, _ = assign(["a"], containers=[str(tmp_path / "in")])
    (tmp_path / "in" / ".DS_Store").write_text("stray")
    assert assign(["a"], containers=[str(tmp_path / "in")])[0] == before


@pytest.mark.parametrize(
    ("count", "fraction", "held_out"),
    [(1, 0.5, 0), (2, 0.01, 1), (2, 0.9, 1), (100, 0.05, 5), (100, 0.0, 0)],
)
def test_held_out_count(assign, count, fraction, held_out):
    keys = [str(index) for index in range(count)]
    _, shards = assign(keys, fraction)
    assert sum(map(len, shards["validation"])) == held_out
    every = [key for keys in shards.values() for shard in keys for key in shard]
    assert sorted(every) == sorted(keys)


def test_shards_are_of_equal_size_and_many_enough(assign):
    _, shards = assign(f"{index:06d}" for index in range(40000))
    sizes = [len(keys) for keys in shards["train"]]
    assert len(sizes) == 38 and max(sizes) - min(sizes) <= 1
    assert len(shards["validation"]) == 2


def test_shard_follows_from_the_place_in_the_sorted_list(assign):
    keys = [f"{index:03d}" for index in range(64)]
    _, shards = assign(reversed(keys), 0.0)
    for index, shard in enumerate(shards["train"]):
        assert sorted(shard) == keys[index::16]
        assert shard == sorted(shard, key=lambda k: hashlib.sha256(k.encode()).digest())


def test_held_out_inputs_stay_so_as_a_folder_grows(assign):
    def held_out(count):
        _, shards = assign(str(index) for index in range(count))
        return {key for shard in shards["validation"] for key in shard}

    assert len(held_out(1000) & held_out(1100)) >= 45


def test_inputs_keep_the_splits_that_they_name(assign):
    splits = {"train": 30, "validation": 3, "test": 17}
    named = [
        Input(f"{split}/{index}", split, f"detail {index}")
        for split, count in splits.items()
        for index in range(count)
    ]
    assignment, shards = assign(named)
    assert list(shards) == ["train", "validation", "test"]
    for split, count in splits.items():
        keys = [key for shard in shards[split] for key in shard]
        assert sorted(keys) == sorted(f"{split}/{index}" for index in range(count))
    items = [
        item for job in assignment.jobs for item in input_database.read_inputs(job)
    ]
    assert sorted(items) == sorted(named)
    # Shards of the other splits are about as large as those of the first.
    assert [len(shards[split]) for split in splits] == [16, 2, 9]


@pytest.mark.parametrize("splits", [("train", ""), ("train", "trainval")])
def test_splits_must_be_known_and_named_by_all(assign, splits):
    with pytest.raises(UserError, match=f"{splits[1]}.*expected .*'validation'"):
        assign(Input(str(index), split) for index, split in enumerate(splits))


def test_file_names_that_are_no_unicode_are_kept(assign):
    key = os.fsdecode(b"caf\xe9\t.jpg")
    assignment, shards = assign([Input(key, detail=key)])
    assert shards["train"] == [[key]]
    (item,) = input_database.read_inputs(assignment.jobs[0])
    assert item == (key, "train", key)


@pytest.mark.parametrize("place", ["directory", "containers"])
def test_state_follows_the_files(assign, tmp_path, place):
    path = tmp_path / "a"
    path.write_text("a")
    places = {
        "directory": {"directory": str(tmp_path)},
        "containers": {"containers": [str(path)]},
    }[place]
    before, _ = assign(["a"], **places)
    assert assign(["a"], **places)[0] == before
    os.utime(path, ns=(1, 1))
    after, _ = assign(["a"], **places)
    assert after.files_digest != before.files_digest
    assert after.names_digest == before.names_digest


@pytest.mark.slow
def test_memory_is_flat_in_the_number_of_inputs(tmp_path):
    """Peak memory of builds of a thousand and of half a million inputs."""

    def peak(count):
        script = f"""
import resource, faulty_inputs
from data_prep.build import worker_pool
worker_pool.run = faulty_inputs.run_in_process
keys = (f"folder {{i % 1000}}/a photo with a long name {{i}}.jpg" for i in range({count}))
faulty_inputs.build("{tmp_path}/{count}", inputs=keys, num_shards=16,
                 convert=faulty_inputs.short_record)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
        paths = [os.path.dirname(faulty_inputs.__file__), os.getcwd()]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return int(
            subprocess.run(
                [sys.executable, "-c", script],
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        )

    small, large = peak(1000), peak(500_000)
    print(f"peak of 1,000 inputs {small} MiB, of 500,000 {large} MiB")
    assert large < small + 64
