"""Writes a shard of a data set; runs in a worker process."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import NamedTuple, Protocol, Union

from data_prep.build.input_storage import InputStorage, StorageUnavailable
from data_prep.build.inputs import Input
from selfsup.common import files

# Folder below the output folder for the state that makes a build resumable.
STATE_FOLDER = ".build"
# What the TFRecord format adds to every record: its length and two checksums.
_FRAME_BYTES = 16


class SetAside(Exception):
    """The builder cannot use an input; the message is the reason, for the user.

    Attributes:
      counts: as in `Converted`.
    """

    def __init__(self, reason: str, counts: Mapping[str, int] | None = None) -> None:
        super().__init__(reason)
        self.counts = counts or {}


class Converted(NamedTuple):
    """The records that a builder makes from an input.

    Attributes:
      records: serialized records.
      note: what had to be repaired, for the user; "" if nothing was.
      counts: what the builder counts, by name; the build sums it over all inputs.
    """

    records: list[bytes]
    note: str = ""
    counts: Mapping[str, int] = {}


class Converter(Protocol):
    """Makes records from an input; picklable, as it runs in worker processes."""

    def __call__(self, item: Input, /) -> Converted | list[bytes]:
        """Converts an input.

        Raises:
          SetAside: the input cannot be used.
        """


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """A shard to write.

    Attributes:
      directory: the output folder.
      file: the shard's name in it.
      split: "train", "validation" or "test".
      index: the shard's place in the split, from 0.
      count: number of inputs of the shard.
    """

    directory: str
    file: str
    split: str
    index: int
    count: int

    @property
    def path(self) -> str:
        return os.path.join(self.directory, self.file)

    @property
    def sidecar(self) -> str:
        """Path of the file that stores the `ShardResult`."""
        return os.path.join(self.directory, STATE_FOLDER, self.file + ".json")


class ShardOrder(NamedTuple):
    """What a worker is given.

    Attributes:
      job: the shard to write.
      unusable: reasons by key, for the inputs that crashed a worker or took too long
        when the shard was tried before.
    """

    job: ShardJob
    unusable: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """What a finished shard holds; its sidecar stores this as JSON.

    Attributes:
      file, split, records, bytes, sha256: as in `manifest.Shard`.
      set_aside: (key, reason) of each input that gave no record.
      repaired: (key, note) of each input that had to be repaired.
      counts: sums of what the builder counts, by name.
    """

    file: str
    split: str
    records: int
    bytes: int
    sha256: str
    set_aside: tuple[tuple[str, str], ...]
    repaired: tuple[tuple[str, str], ...]
    counts: dict[str, int]


@dataclasses.dataclass(frozen=True)
class ShardFailure:
    """The shard cannot be written, through no fault of an input; `reason` says why."""

    reason: str


ShardOutcome = Union[ShardResult, ShardFailure]


def read_result(job: ShardJob) -> ShardResult | None:
    """Reads the result of a shard that was finished before; None if it was not."""
    try:
        with open(job.sidecar, encoding="utf-8") as file:
            fields = json.load(file)
        for name in ("set_aside", "repaired"):
            fields[name] = tuple(tuple(pair) for pair in fields[name])
        result = ShardResult(**fields)
        size = os.path.getsize(job.path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if size == result.bytes else None


@dataclasses.dataclass(frozen=True)
class ShardWriter:
    """Writes shards; the `work` of a worker pool.

    Attributes:
      convert: the builder's conversion of an input.
      read_inputs: returns the inputs of a shard, in its order.
      storage: where the inputs are.
    """

    convert: Converter
    read_inputs: Callable[[ShardJob], Iterable[Input]]
    storage: InputStorage

    def __call__(self, order: ShardOrder) -> Generator[str | None, None, ShardOutcome]:
        """Writes a shard, then its sidecar, each atomically.

        Yields:
          the key of each input before its conversion, and None after it.
        """
        import tensorflow as tf

        job, unusable = order
        temporary = files.temporary_name(job.path)
        contents = _ShardContents()
        try:
            with tf.io.TFRecordWriter(files.native_path(temporary)) as writer:
                for item in self.read_inputs(job):
                    yield item.key
                    records = self._convert(item, unusable, contents)
                    yield None
                    for record in records:
                        writer.write(record)
                        contents.bytes += len(record) + _FRAME_BYTES
                    contents.records += len(records)
            # A disk that goes away while a video is read looks like a video's early end.
            self.storage.check()
            return _publish(job, temporary, contents)
        except StorageUnavailable as error:
            failure = ShardFailure(str(error))
        except (OSError, UnicodeError, sqlite3.Error, tf.errors.OpError) as error:
            # The system's words are the clearest; TensorFlow's errors have a message.
            reason = getattr(error, "strerror", None) or getattr(
                error, "message", error
            )
            failure = ShardFailure(f"{job.path}: cannot be written: {reason}")
        with contextlib.suppress(OSError):
            os.remove(temporary)
        return failure

    def _convert(
        self, item: Input, unusable: Mapping[str, str], contents: _ShardContents
    ) -> list[bytes]:
        """Returns the records of an input; notes in `contents` how it was used.

        Raises:
          StorageUnavailable: the input may be good, but its disk is gone.
        """
        try:
            if item.key in unusable:
                raise SetAside(unusable[item.key])
            converted = self.convert(item)
            if not isinstance(converted, Converted):
                converted = Converted(converted)
            if not converted.records:
                raise SetAside("gave no record", converted.counts)
            contents.add_converted(item.key, converted)
            return converted.records
        except SetAside as error:
            reason, counts = str(error), error.counts
        except Exception as error:
            # One bad input among a million must not end the build.
            reason, counts = f"{type(error).__name__}: {error}", {}
        self.storage.check()
        contents.set_aside.append((item.key, reason))
        contents.counts.update(counts)
        return []


@dataclasses.dataclass
class _ShardContents:
    """What a shard holds so far; see `ShardResult`."""

    records: int = 0
    bytes: int = 0
    set_aside: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    repaired: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    counts: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )

    def add_converted(self, key: str, converted: Converted) -> None:
        self.counts.update(converted.counts)
        if converted.note:
            self.repaired.append((key, converted.note))


def _publish(job: ShardJob, temporary: str, contents: _ShardContents) -> ShardResult:
    """Moves a finished shard into place and writes its sidecar.

    Raises:
      OSError: the disk is full, or the file cannot be written otherwise.
    """
    size = os.path.getsize(temporary)
    if size != contents.bytes:
        raise OSError(f"the disk took {size} of {contents.bytes} bytes")
    result = ShardResult(
        file=job.file,
        split=job.split,
        records=contents.records,
        bytes=contents.bytes,
        sha256=files.sha256(temporary),
        set_aside=tuple(contents.set_aside),
        repaired=tuple(contents.repaired),
        counts=dict(sorted(contents.counts.items())),
    )
    files.publish(temporary, job.path)
    files.write_atomically(job.sidecar, json.dumps(dataclasses.asdict(result)))
    return result
