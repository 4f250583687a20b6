import json

import pytest

from selfsup.common.errors import UserError
from selfsup.data import manifest

SHARDS = (
    manifest.Shard("train-0.tfrecord", "train", 5, 100, "aa"),
    manifest.Shard("train-1.tfrecord", "train", 6, 120, "bb"),
    manifest.Shard("validation-0.tfrecord", "validation", 2, 50, "cc"),
)
MADE = manifest.Manifest(
    kind=manifest.PHOTOS,
    features=("image", "label"),
    shards=SHARDS,
    labels=("cat", "dog"),
    inputs={"found": 14, "used": 13, "set_aside": 1},
    options={"max_side": 0},
    versions={"tensorflow": "2.15.1"},
)


def test_manifest_comes_back(tmp_path):
    manifest.write(MADE, str(tmp_path))
    (stored,) = manifest.find(str(tmp_path))
    assert stored.directory == str(tmp_path)
    assert stored.to_json() == MADE.to_json()
    assert stored.shards == SHARDS and stored.labels == MADE.labels


def test_splits():
    assert MADE.split("train") == SHARDS[:2]
    assert MADE.records("train") == 11
    assert MADE.records("validation") == 2
    assert MADE.split("test") == ()


def test_sets_below_are_found_in_order(tmp_path):
    for name in ("b", "a/deep"):
        (tmp_path / name).mkdir(parents=True)
        manifest.write(MADE, str(tmp_path / name))
    folders = [built.directory for built in manifest.find(str(tmp_path))]
    assert folders == [str(tmp_path / "a" / "deep"), str(tmp_path / "b")]


def test_no_set_says_how_to_build_one(tmp_path):
    with pytest.raises(UserError, match=r"python -m data_prep\.photos"):
        manifest.find(str(tmp_path))


def _changed(**changes):
    return json.dumps({**json.loads(MADE.to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", _changed(format="else"), _changed(shards=[{"file": "x"}])],
)
def test_other_files_are_refused_by_name(tmp_path, text):
    path = tmp_path / manifest.FILE_NAME
    path.write_text(text)
    with pytest.raises(UserError, match=manifest.FILE_NAME):
        manifest.read(str(path))


def test_newer_version_is_refused(tmp_path):
    path = tmp_path / manifest.FILE_NAME
    path.write_text(_changed(version=2))
    with pytest.raises(UserError, match=r"json: is .*, 2\), expected .*1"):
        manifest.read(str(path))
