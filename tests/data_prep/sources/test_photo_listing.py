"""Finds photos in a folder tree, and builds them with the command."""

import io
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from PIL import Image

from data_prep.build import inputs
from data_prep.sources import photo_builder, photo_listing
from selfsup.common.errors import UserError
from selfsup.data import manifest, records


def _saved(kind, **options):
    """Returns a plain picture as the bytes of a file of format `kind`."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 120, 40)).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def tree(tmp_path):
    """The path of a folder tree with everything that a search may meet."""
    root = tmp_path / "in"
    for name in ("cat/a.jpg", "cat/deep/b.JPEG", "dog/c.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_saved("JPEG", comment=name.encode()))
    (root / "dog" / "no extension").write_bytes(_saved("PNG"))
    (root / "dog" / "webp as.jpg").write_bytes(_saved("WEBP"))
    (root / "dog" / "story.jpg").write_text("Once upon a time")
    (root / "dog" / "cut.jpg").write_bytes(_saved("JPEG")[:-200])
    (root / "loose.jpg").write_bytes(_saved("JPEG"))
    (root / "notes.txt").write_text("not a photo")
    (root / ".hidden.jpg").write_bytes(_saved("JPEG"))
    (root / ".thumbs").mkdir()
    (root / ".thumbs" / "a.jpg").write_bytes(_saved("JPEG"))
    (root / "cat" / "loop").symlink_to(root)
    (root / "cat" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")
    with open(os.path.join(os.fsencode(root), b"cat", b"caf\xe9.jpg"), "wb") as file:
        file.write(_saved("JPEG"))
    return root


def test_find_is_sorted_and_safe(tree):
    finder = inputs.FileFinder(str(tree), photo_listing.looks_like_photo)
    assert sorted(finder) == [
        "cat/a.jpg",
        os.fsdecode(b"cat/caf\xe9.jpg"),
        "cat/deep/b.JPEG",
        "dog/c.jpg",
        "dog/cut.jpg",
        "dog/no extension",
        "dog/story.jpg",
        "dog/webp as.jpg",
        "loose.jpg",
    ]
    assert (finder.num_hidden, finder.num_others) == (2, 3)


def _make_deep(path, levels):
    """Creates a chain of folders with a photo in the last; returns the photo's path."""
    path = os.path.join(path, *["d"] * levels)
    os.makedirs(path)
    with open(os.path.join(path, "a.jpg"), "wb") as file:
        file.write(_saved("JPEG"))
    return os.path.join(path, "a.jpg")


def test_trees_may_be_deep(tmp_path):
    deep = _make_deep(str(tmp_path / "in"), 300)
    _make_deep(str(tmp_path / "in" / ".hidden"), 300)
    finder = inputs.FileFinder(str(tmp_path / "in"), photo_listing.looks_like_photo)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        assert list(finder) == [os.path.relpath(deep, tmp_path / "in")]
    finally:
        sys.setrecursionlimit(limit)
    assert (finder.num_files, finder.num_hidden, finder.unreadable_folders) == (
        1,
        1,
        [],
    )


def test_the_output_is_skipped(tree):
    dog = (str(tree / "dog"),)
    finder = inputs.FileFinder(str(tree), photo_listing.looks_like_photo, dog)
    assert not [key for key in finder if key.startswith("dog")]


def test_labelled_build_by_the_command(tree, tmp_path):
    output = tmp_path / "out"
    command = [sys.executable, "-m", "data_prep.photos", "--labels=folders"]
    command += [f"--input={tree}", f"--output={output}", "--workers=1"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert "9 photos; ignored 2 hidden and 3 other files" in done.stderr
    assert "3 set aside" in done.stderr

    (made,) = manifest.find(str(output))
    assert made.kind == manifest.PHOTOS
    assert made.features == ("image", "label")
    assert made.labels == ("cat", "dog")
    assert (made.inputs["found"], made.inputs["used"]) == (9, 6)
    assert made.inputs["set_aside"] == 3
    aside = (output / "set_aside.tsv").read_text().splitlines()
    assert dict(line.split("\t") for line in aside).keys() == {
        "dog/cut.jpg",
        "dog/story.jpg",
        "loose.jpg",
    }
    repaired = (output / "repaired.tsv").read_text()
    assert repaired == "dog/webp as.jpg\tWEBP named .jpg\n"
    files = [str(output / shard.file) for shard in made.shards]
    stored = tf.data.TFRecordDataset(files).map(
        lambda record: records.parse(record, ("image", "label"))
    )
    labels = {r["key"]: int(r["label"]) for r in stored.as_numpy_iterator()}
    assert labels == {
        b"cat/a.jpg": 0,
        b"cat/caf\\udce9.jpg": 0,
        b"cat/deep/b.JPEG": 0,
        b"dog/c.jpg": 1,
        b"dog/no extension": 1,
        b"dog/webp as.jpg": 1,
    }


@pytest.mark.parametrize("labels", ["none", "folders"])
def test_class_names_need_folders(tmp_path, labels):
    (tmp_path / "a.txt").write_text("no photo")
    with pytest.raises(UserError, match="has no photos in it"):
        photo_builder.build_photos(
            directory=str(tmp_path), output=str(tmp_path / "out"), labels=labels
        )
    (tmp_path / "a.jpg").write_bytes(_saved("JPEG"))
    with pytest.raises(UserError, match="no subfolder with photos"):
        photo_builder.build_photos(
            directory=str(tmp_path), output=str(tmp_path / "out"), labels="folders"
        )
