"""The manifest that makes a folder of shards a built data set."""

import dataclasses
import hashlib
import json
import os

from selfsup.common import files
from selfsup.common.errors import UserError

FILE_NAME = "manifest.json"
FORMAT = "selfsup-records"
VERSION = 1

PHOTOS = "photos"
VIDEO_FRAMES = "video_frames"
OBJECTS = "objects"
RGBD = "rgbd"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file of a built set.

    Attributes:
      file: name relative to the manifest's folder.
      split: "train", "validation" or "test".
      records: number of records in it.
      bytes: its size.
      sha256: hexadecimal digest of the whole file.
    """

    file: str
    split: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a built set holds.

    Attributes:
      kind: "photos", "video_frames", "objects" (images with boxes) or "rgbd" (with
        depth).
      features: record features that are filled in (names of `data.records`).
      shards: all shards, in order.
      labels: class names by label index; empty when unlabelled.
      inputs: counts of inputs, "found", "used", "set_aside" and "repaired", and in
        "counts" those of the builder.
      options: the builder's options that shaped the records.
      versions: {"package": version} of what built it.
      directory: where it was read from; not stored.
    """

    kind: str
    features: tuple
    shards: tuple
    labels: tuple = ()
    inputs: dict = dataclasses.field(default_factory=dict)
    options: dict = dataclasses.field(default_factory=dict)
    versions: dict = dataclasses.field(default_factory=dict)
    directory: str = ""

    def split(self, name):
        """Shards of split `name`, in order."""
        return tuple(shard for shard in self.shards if shard.split == name)

    def records(self, split):
        """Number of records in `split`."""
        return sum(shard.records for shard in self.split(split))

    def to_json(self):
        """The manifest file's text."""
        fields = dataclasses.asdict(self)
        del fields["directory"]
        return json.dumps({"format": FORMAT, "version": VERSION, **fields}, indent=1)


def read(path):
    """Reads a manifest file.

    Raises:
      UserError: when it is no manifest of ours or of another version.
    """
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        found = (fields.pop("format"), fields.pop("version"))
        if found != (FORMAT, VERSION):
            raise UserError(f"{path}: is {found}, expected {(FORMAT, VERSION)}")
        shards = tuple(Shard(**shard) for shard in fields.pop("shards"))
        fields["features"] = tuple(fields["features"])
        fields["labels"] = tuple(fields["labels"])
        return Manifest(shards=shards, directory=os.path.dirname(path), **fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a manifest of a built set: {error!r}") from error


def write(manifest, directory):
    """Writes the manifest file of the built set in `directory`, atomically."""
    files.write_atomically(os.path.join(directory, FILE_NAME), manifest.to_json())


def fingerprint(sets, splits):
    """A checksum of what splits of sets hold, wherever they are: hexadecimal digits.

    Args:
      sets: `Manifest`s, in order.
      splits: names; a set need not have them.
    """
    parts = [
        part
        for one in sets
        for part in (
            *one.labels,
            *(shard.sha256 for name in splits for shard in one.split(name)),
        )
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def find(root):
    """All built sets at or below the folder `root`, sorted by path.

    Raises:
      UserError: when there is none.
    """
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        if FILE_NAME in names:
            found.append(read(os.path.join(folder, FILE_NAME)))
    if not found:
        raise UserError(
            f"{root}: no built data set here or below (no {FILE_NAME}); build one "
            "with python -m data_prep.photos or python -m data_prep.videos"
        )
    return found
