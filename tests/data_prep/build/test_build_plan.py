"""The plan of a build: the list of inputs, their splits and shards."""

import collections
import hashlib
import os
import subprocess
import sys

import faulty_inputs
import pytest

from data_prep.build import build_plan, writer
from selfsup.common.errors import UserError


@pytest.fixture
def deal(tmp_path):
    """Lists inputs, gives {split: [keys of its first shard, of the second, ...]}."""
    (tmp_path / ".build").mkdir()

    def list_inputs(inputs, fraction=0.05, **where):
        division = build_plan.Division(0, 1024, fraction)
        listing = build_plan.list_inputs(str(tmp_path), inputs, division, **where)
        dealt = collections.defaultdict(list)
        for job in listing.jobs:
            keys = [item.key for item in build_plan.inputs_of(job)]
            assert len(keys) == job.count
            assert len(dealt[job.split]) == job.index
            dealt[job.split].append(keys)
        return listing, dealt

    return list_inputs


def test_stray_files_in_a_watched_folder_do_not_matter(deal, tmp_path):
    (tmp_path / "in").mkdir()
    before, _ = deal(["a"], containers=[str(tmp_path / "in")])
    (tmp_path / "in" / ".DS_Store").write_text("stray")
    assert deal(["a"], containers=[str(tmp_path / "in")])[0] == before


@pytest.mark.parametrize(
    ("count", "fraction", "held_out"),
    [(1, 0.5, 0), (2, 0.01, 1), (2, 0.9, 1), (100, 0.05, 5), (100, 0.0, 0)],
)
def test_held_out_count(deal, count, fraction, held_out):
    keys = [str(index) for index in range(count)]
    _, dealt = deal(keys, fraction)
    assert sum(map(len, dealt["validation"])) == held_out
    every = [key for shards in dealt.values() for shard in shards for key in shard]
    assert sorted(every) == sorted(keys)


def test_shards_are_of_equal_size_and_many_enough(deal):
    _, dealt = deal(f"{index:06d}" for index in range(40000))
    sizes = [len(keys) for keys in dealt["train"]]
    assert len(sizes) == 38 and max(sizes) - min(sizes) <= 1
    assert len(dealt["validation"]) == 2


def test_shard_follows_from_the_place_in_the_sorted_list(deal):
    keys = [f"{index:03d}" for index in range(64)]
    _, dealt = deal(reversed(keys), 0.0)
    for index, shard in enumerate(dealt["train"]):
        assert sorted(shard) == keys[index::16]
        assert shard == sorted(shard, key=lambda k: hashlib.sha256(k.encode()).digest())


def test_held_out_inputs_stay_so_as_a_folder_grows(deal):
    def held_out(count):
        _, dealt = deal(str(index) for index in range(count))
        return {key for shard in dealt["validation"] for key in shard}

    assert len(held_out(1000) & held_out(1100)) >= 45


def test_inputs_keep_the_splits_that_they_name(deal):
    splits = {"train": 30, "validation": 3, "test": 17}
    named = [
        writer.Input(f"{split}/{index}", split, f"detail {index}")
        for split, count in splits.items()
        for index in range(count)
    ]
    listing, dealt = deal(named)
    assert list(dealt) == ["train", "validation", "test"]
    for split, count in splits.items():
        keys = [key for shard in dealt[split] for key in shard]
        assert sorted(keys) == sorted(f"{split}/{index}" for index in range(count))
    items = [one for job in listing.jobs for one in build_plan.inputs_of(job)]
    assert sorted(items) == sorted(named)
    # Shards of the other splits are about as large as those of the first.
    assert [len(dealt[split]) for split in splits] == [16, 2, 9]


@pytest.mark.parametrize("splits", [("train", ""), ("train", "trainval")])
def test_splits_must_be_known_and_named_by_all(deal, splits):
    with pytest.raises(UserError, match=f"{splits[1]}.*expected .*'validation'"):
        deal(writer.Input(str(index), split) for index, split in enumerate(splits))


def test_file_names_that_are_no_unicode_are_kept(deal):
    key = os.fsdecode(b"caf\xe9\t.jpg")
    listing, dealt = deal([writer.Input(key, detail=key)])
    assert dealt["train"] == [[key]]
    (item,) = build_plan.inputs_of(listing.jobs[0])
    assert item == (key, "train", key)


@pytest.mark.parametrize("held", ["directory", "containers"])
def test_state_follows_the_files(deal, tmp_path, held):
    path = tmp_path / "a"
    path.write_text("a")
    where = {
        "directory": {"directory": str(tmp_path)},
        "containers": {"containers": [str(path)]},
    }[held]
    before, _ = deal(["a"], **where)
    assert deal(["a"], **where)[0] == before
    os.utime(path, ns=(1, 1))
    after, _ = deal(["a"], **where)
    assert after.state != before.state and after.names == before.names


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
