"""Inspection of data sets with every feature, whole and damaged."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep.inspection import (
    contact_sheet,
    report,
    set_statistics,
    shard_jobs,
    verification,
)
from data_prep.inspection.distribution import Distribution
from selfsup.common.errors import UserError
from selfsup.data import manifest, records

LABELS = ("cat", "dog", "bird")
SIZE = (48, 64)
BOXES = [(0.0, 0.0, 48.0, 32.0), (4.0, 40.0, 20.0, 56.0)]


def _png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _record(index, **changes):
    """A record of a photo, half red and half green, with `changes` to its fields."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, :32, 0], image[:, 32:, 1] = 200, 150 + index
    mask = np.zeros((6, 8), np.uint8)
    mask[:, :4], mask[0] = index % 2, 255
    depth = np.full(SIZE, 2000 + 500 * index, np.uint16)
    depth[:12] = 0
    fields = {
        "key": f"photo{index}.png",
        "encoded": tf.io.encode_jpeg(image).numpy(),
        "height": SIZE[0],
        "width": SIZE[1],
        "label": index % 2,
        "motion_mask": _png(mask),
        "boxes": BOXES,
        "classes": [0, 2],
        "difficult": [0, 1],
        "depth": _png(depth),
        "depth_unit": 0.001,
    }
    return records.serialize(**{**fields, **changes})


def _write(directory, shards, labels=LABELS, **fields):
    """Writes a data set of shards {name: serialized records}; returns its manifest."""
    os.makedirs(directory, exist_ok=True)
    made = []
    for name, serialized in shards.items():
        path = os.path.join(directory, name)
        with tf.io.TFRecordWriter(path) as writer:
            for record in serialized:
                writer.write(record)
        with open(path, "rb") as file:
            content = file.read()
        digest = hashlib.sha256(content).hexdigest()
        split = name.split("-")[0]
        shard = manifest.Shard(name, split, len(serialized), len(content), digest)
        made.append(shard)
    features = ("image", "label", "motion_mask", "boxes", "depth")
    built = manifest.Manifest(
        manifest.OBJECTS, features, tuple(made), labels, directory=directory, **fields
    )
    manifest.write(built, directory)
    return built


@pytest.fixture
def built(tmp_path):
    shards = {
        "train-00000.tfrecord": [_record(index) for index in range(3)],
        "train-00001.tfrecord": [_record(3)],
        "test-00000.tfrecord": [_record(4, label=records.NO_LABEL)],
    }
    inputs = {"found": 7, "used": 5, "set_aside": 2, "counts": {"parts": 9}}
    return _write(str(tmp_path / "set"), shards, inputs=inputs, options={"quality": 95})


def _corrupt(built, shard, position):
    """Flips a bit of a shard; returns its path."""
    path = os.path.join(built.directory, built.shards[shard].file)
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
    return path


def _finish(work):
    """Runs a generator of a pool's `work` without a pool; returns its result."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def _statistics(built):
    """Collects `Statistics` by split."""
    by_split = {shard.split: set_statistics.Statistics() for shard in built.shards}
    work = set_statistics.ShardStatistics(built.features)
    for job in shard_jobs.make_jobs(built, [shard.records for shard in built.shards]):
        statistics, problem = _finish(work(job))
        assert not problem
        by_split[job.shard.split].merge(statistics)
    return by_split


def _verify(built):
    """Lists problems by file."""
    work = verification.ShardCheck(built.features, len(built.labels))
    jobs = shard_jobs.make_jobs(built, [shard.records for shard in built.shards])
    return {job.shard.file: _finish(work(job)) for job in jobs}


def test_statistics_are_those_of_the_records(built):
    by_split = _statistics(built)
    train = by_split["train"]
    assert (train.num_records, dict(train.formats)) == (4, {"JPEG": 4})
    assert (train.heights.minimum, train.widths.maximum) == SIZE
    assert dict(train.labels) == {0: 2, 1: 2}
    assert dict(by_split["test"].labels) == {records.NO_LABEL: 1}
    assert train.empty_masks == 2
    assert train.foreground.mean == pytest.approx((0 + 20 / 48) / 2)
    assert train.ignored.median == pytest.approx(8 / 48, abs=1e-3)
    assert dict(train.classes) == {0: 4, 2: 4} and train.difficult == 4
    assert (train.objects.minimum, train.objects.maximum) == (2, 2)
    assert train.box_sides.minimum == 16.0
    assert train.known_depth.mean == pytest.approx(0.75)
    assert (train.depths.minimum, train.depths.maximum) == (2.0, 3.5)
    assert train.depths.count == 4 * 36 * 64


def test_records_written_before_boxes_and_depth_existed_are_read():
    proto = tf.train.Example.FromString(_record(0))
    for name in list(proto.features.feature):
        if name.startswith(("object/", "depth/")):
            del proto.features.feature[name]
    features = ("image", "label", "motion_mask")
    values = records.read_raw(proto.SerializeToString())
    statistics = set_statistics.Statistics()
    statistics.add_record(values, features)
    assert (statistics.num_records, len(statistics.classes)) == (1, 0)
    assert values["object/box"] == [] and values["depth/encoded"] == b""
    problem = verification.record_problem(proto.SerializeToString(), features, 3)
    assert problem == ""


def test_damaged_shards_are_named_with_their_problems(built):
    assert not any(_verify(built).values())
    _corrupt(built, 0, 2 * (built.shards[0].bytes // 3) + 100)
    os.truncate(os.path.join(built.directory, built.shards[1].file), 200)
    os.remove(os.path.join(built.directory, built.shards[2].file))
    problems = _verify(built)
    cut, missing = problems["train-00001.tfrecord"], problems["test-00000.tfrecord"]
    assert cut[0].startswith("has 200 bytes; its manifest says ")
    assert missing == ["cannot be read: No such file or directory"]
    digest, record, count = problems["train-00000.tfrecord"]
    assert digest.startswith("its SHA-256 is ")
    assert record.startswith("record 2 cannot be read: corrupted record at ")
    assert count == "2 of 3 records can be read"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"height": 40}, "image is (48, 64), its record says (40, 64)"),
        ({"encoded": b"\xff\xd8\xff\xe0 no JPEG"}, "JPEG"),
        ({"label": 3}, "label 3 is none of the 3 classes"),
        ({"motion_mask": _png(np.zeros((5, 8), np.uint8))}, "mask is (5, 8), expected"),
        ({"motion_mask": _png(np.full((6, 8), 7, np.uint8))}, "mask has the value 7"),
        ({"boxes": [(0, 0, 49, 9), BOXES[1]]}, "box 0 (0.0, 0.0, 49.0, 9.0) is not in"),
        ({"boxes": [BOXES[0], (9, 9, 9, 20)]}, "box 1"),
        ({"boxes": [BOXES[0], (float("nan"), 9, 12, 20)]}, "box 1"),
        ({"classes": [0, 3]}, "box 1 has class 3 of 3"),
        ({"classes": [0]}, "8 box edges, 1 classes, 2 difficult"),
        ({"difficult": [0, 2]}, "box 1 is difficult: 2"),
        ({"depth": _png(np.zeros((4, 4), np.uint16))}, "depth is (4, 4), image is"),
        ({"depth": b""}, "photo1.png: Input is empty"),
        ({"depth_unit": 0.0}, "a step of depth is 0.0 metres"),
        ({}, ""),
    ],
)
def test_records_are_checked_against_the_manifest(changes, expected):
    features = ("image", "label", "motion_mask", "boxes", "depth")
    problem = verification.record_problem(_record(1, **changes), features, len(LABELS))
    assert expected in problem
    assert bool(problem) == bool(expected)


@pytest.mark.parametrize(
    ("max_records", "expected"),
    [
        (0, [5, 1, 0, 9, 4]),
        (7, [3, 1, 0, 3, 4]),
        (2, [1, 0, 0, 1, 2]),
        (99, [5, 1, 0, 9, 4]),
    ],
)
def test_no_more_records_are_read_than_asked_for(max_records, expected):
    shards = [
        manifest.Shard(f"{index}", split, number, 0, "")
        for index, (split, number) in enumerate(
            [("train", 5), ("train", 1), ("train", 0), ("train", 9), ("validation", 4)]
        )
    ]
    fields = {"features": (), "labels": (), "inputs": {}, "options": {}, "versions": {}}
    data = manifest.Manifest(
        kind=manifest.PHOTOS, shards=tuple(shards), directory="", **fields
    )
    counts = set_statistics._choose_counts(data, max_records)
    assert counts == expected


def test_other_bytes_are_no_record():
    assert (
        verification.record_problem(b"\xff\xff", (), 0) == "is not a tf.train.Example"
    )
    assert verification.record_problem(b"", (), 0) == "has no image/encoded"


def test_the_sheet_shows_boxes_masks_and_depth(built):
    sheet = contact_sheet.draw(built, 5, seed=1)
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 4 * 244 + 4
    # The photos are red and green, and masks are tinted red and gray.
    colors = {tuple(color) for color in sheet.reshape(-1, 3)}
    assert contact_sheet._COLORS[0] in colors and contact_sheet._COLORS[2] in colors
    np.testing.assert_array_equal(sheet, contact_sheet.draw(built, 5, seed=1))
    assert not np.array_equal(sheet, contact_sheet.draw(built, 5, seed=2))


def test_a_set_that_cannot_be_read_has_no_sheet(built):
    for shard in built.shards:
        os.truncate(os.path.join(built.directory, shard.file), 10)
    assert contact_sheet.draw(built, 5) is None


def test_path_of_the_sheet(built, tmp_path):
    path = report.sheet_path
    assert path(None, "/data/photos", 1) == "/data/photos.png"
    assert path("sheet.png", "/data/photos", 1) == "sheet.png"
    assert path("sheet.png", "/data/photos", 2) == "sheet-photos.png"
    with pytest.raises(UserError, match=r"nowhere/a\.png: cannot be written"):
        report.save_sheet(built, str(tmp_path / "nowhere" / "a.png"), 1, 0)


def test_distributions_can_be_merged():
    random = np.random.default_rng(0)
    values = np.concatenate([random.integers(0, 90_000, 999), random.random(1000)])
    parts = [Distribution(), Distribution(), Distribution()]
    for index, value in enumerate(values):
        parts[index % 2].add(float(value))
    parts[0].merge(parts[1])
    parts[0].merge(parts[2])
    assert parts[0].count == 1999
    assert (parts[0].minimum, parts[0].maximum) == (values.min(), values.max())
    assert parts[0].mean == pytest.approx(values.mean())
    assert parts[0].median == pytest.approx(np.sort(values)[999], rel=0.005)
    assert Distribution().median is None and np.isnan(Distribution().mean)


@pytest.mark.slow
def test_the_command_reports_damage_and_exits_with_1(built):
    folder = os.path.dirname(built.directory)
    with open(os.path.join(built.directory, "set_aside.tsv"), "w") as file:
        file.write("a.jpg\tside of 3 pixels\nb.jpg\tside of 11 pixels\n")
    other = _write(
        os.path.join(folder, "other"), {"train-0.tfrecord": [_record(0)] * 2}
    )
    path = _corrupt(other, 0, 300)
    command = [sys.executable, "-m", "data_prep.inspect", folder, "--verify"]
    command += ["--workers=1", "--sample=2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    output = done.stdout
    for expected in (
        "train: 4 records in 2 shards",
        "images: 4 JPEG; width 64 / 64 / 64, height 48 / 48 / 48",
        "labels: 2 of 3 classes; images per class 2 / 2 / 2; none of 1: bird",
        "labels: 1 images without",
        "2 of 4 without foreground",
        "boxes: 8, 4 of them difficult; per image 2 / 2 / 2",
        "none of 1: dog",
        "boxes: 4 cat, 4 bird",
        "known for 75.0% (75% to 75%) of an image; metres 2 / 2.5 / 3.5",
        "inputs: found 7, used 5, set_aside 2, parts 9",
        "set aside: 2 side of N pixels (such as a.jpg)",
        "options: quality 95",
    ):
        assert expected in output, expected
    assert "verified 3 shards, 5 records: no damage" in output
    assert f"DAMAGED {path}: record 0: corrupted record at 12" in output
    assert f"DAMAGED {path}: its SHA-256 is" in output
    assert "1 of 1 shards are damaged" in output
    with Image.open(f"{built.directory}.png") as sheet:
        assert sheet.format == "PNG"
    assert not os.path.exists(f"{other.directory}.png")
