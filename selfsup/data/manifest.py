"""The manifest, which makes a folder of shards a data set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

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
    """One TFRecord file of a data set.

    Attributes:
      file: name relative to the manifest's folder.
      split: "train", "validation" or "test".
      records: number of records in the file.
      bytes: size of the file.
      sha256: digest of the whole file in hexadecimal digits.
    """

    file: str
    split: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Describes a data set.

    Attributes:
      kind: "photos", "video_frames", "objects" (images with boxes) or "rgbd" (with
        depth).
      features: features that the records have, by their names in `data.records`.
      shards: all shards, in order.
      labels: class name of each label index; empty for a data set without labels.
      inputs: the numbers of inputs "found", "used", "set_aside" and "repaired", and in
        "counts" a dict of numbers that the builder adds.
      options: options of the builder that determine the records, as JSON types.
      versions: versions of the packages that built the data set.
      directory: folder that the manifest was read from; it is not stored.
    """

    kind: str
    features: tuple[str, ...]
    shards: tuple[Shard, ...]
    labels: tuple[str, ...] = ()
    inputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    directory: str = ""

    def split(self, name: str) -> tuple[Shard, ...]:
        """Returns the shards of the split `name`, in order."""
        return tuple(shard for shard in self.shards if shard.split == name)

    def records(self, split: str) -> int:
        """Returns the number of records in a split."""
        return sum(shard.records for shard in self.split(split))

    def to_json(self) -> str:
        """Returns the text of the manifest file."""
        fields = dataclasses.asdict(self)
        del fields["directory"]
        return json.dumps({"format": FORMAT, "version": VERSION, **fields}, indent=1)


def read(path: str) -> Manifest:
    """Reads a manifest file.

    Raises:
      UserError: the file is not a manifest, or has another version.
    """
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        stored = (fields.pop("format"), fields.pop("version"))
        if stored != (FORMAT, VERSION):
            raise UserError(f"{path}: is {stored}, expected {(FORMAT, VERSION)}")
        shards = tuple(Shard(**shard) for shard in fields.pop("shards"))
        fields["features"] = tuple(fields["features"])
        fields["labels"] = tuple(fields["labels"])
        return Manifest(shards=shards, directory=os.path.dirname(path), **fields)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a manifest of a data set: {error!r}") from error


def write(manifest: Manifest, directory: str) -> None:
    """Writes the manifest file of the data set in `directory`, atomically."""
    files.write_atomically(os.path.join(directory, FILE_NAME), manifest.to_json())


def fingerprint(sets: Iterable[Manifest], splits: Sequence[str]) -> str:
    """Returns a checksum of the content of data sets, independent of their folders.

    Args:
      sets: the data sets, in order.
      splits: names of the splits that count; a data set may lack some of them.

    Returns:
      hexadecimal digits.
    """
    parts: list[str] = []
    for manifest in sets:
        parts += manifest.labels
        for name in splits:
            parts += [shard.sha256 for shard in manifest.split(name)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def find(root: str) -> list[Manifest]:
    """Returns all data sets in or below the folder `root`, sorted by path.

    Raises:
      UserError: the folder contains no data set, or a manifest cannot be read.
    """
    manifests = []
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        if FILE_NAME in names:
            manifests.append(read(os.path.join(folder, FILE_NAME)))
    if not manifests:
        raise UserError(
            f"{root}: no built data set here or below (no {FILE_NAME}); build one "
            "with python -m data_prep.photos or python -m data_prep.videos"
        )
    return manifests
