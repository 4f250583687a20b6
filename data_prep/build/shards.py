"""One shard of a data set: the unit of a builder's work (runs in a worker process)."""

import collections
import contextlib
import dataclasses
import json
import os
import sqlite3
import typing

from selfsup.common import files
from selfsup.common.errors import UserError

# Where the state that makes a build resumable lives, below the output folder.
STATE_FOLDER = ".build"
# Framing that the TFRecord format adds to every record: length, two checksums.
_FRAME_BYTES = 16


class SetAside(Exception):
    """An input cannot be used; the message is the reason, for the user.

    Attributes:
      counts: {"what": int}, as in `Converted`.
    """

    def __init__(self, reason, counts=None):
        super().__init__(reason)
        self.counts = counts or {}


class Converted(typing.NamedTuple):
    """What a builder's `convert` makes of an input; a plain list of records will do.

    Attributes:
      records: list of serialized records.
      note: what had to be repaired, for the user; "" where nothing was.
      counts: {"what": int} of what the builder counts, to be summed over all inputs.
    """

    records: list
    note: str = ""
    counts: dict = {}


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """A shard to write.

    Attributes:
      directory: the output folder.
      file: the shard's name in it.
      split: "train", "validation" or "test".
      index: its place among the split's shards.
      count: number of inputs that belong to it.
    """

    directory: str
    file: str
    split: str
    index: int
    count: int

    @property
    def path(self):
        return os.path.join(self.directory, self.file)

    @property
    def sidecar(self):
        return os.path.join(self.directory, STATE_FOLDER, self.file + ".json")


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """What a finished shard holds; stored as its sidecar.

    Attributes:
      file, split, records, bytes, sha256: as in `manifest.Shard`.
      set_aside: ((input, reason), ...) of the inputs that gave no record.
      repaired: ((input, note), ...) of those that had to be repaired.
      counts: sums of the builder's own counts.
    """

    file: str
    split: str
    records: int
    bytes: int
    sha256: str
    set_aside: tuple
    repaired: tuple
    counts: dict


@dataclasses.dataclass(frozen=True)
class ShardFailure:
    """The shard could not be made, by no fault of an input's; `reason` says why."""

    reason: str


class StorageUnavailable(Exception):
    """The inputs cannot be read any more; the message says why."""


@dataclasses.dataclass(frozen=True)
class InputStorage:
    """Where a build's inputs are, to tell a bad input from a disk that is gone.

    Attributes:
      devices: ((path, number of the file system that it was on), ...) of the input
        folder and of the files that hold inputs, such as archives.
    """

    devices: tuple

    @classmethod
    def from_paths(cls, paths):
        """The folders and files as they are now.

        Raises:
          UserError: when one cannot be read.
        """
        try:
            return cls(tuple((path, os.stat(path).st_dev) for path in paths))
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be read: {error}") from error

    def check(self):
        """Raises `StorageUnavailable` when one is gone, or its disk was unmounted."""
        for path, before in self.devices:
            try:
                device = os.stat(path).st_dev
                if os.path.isdir(path):
                    with os.scandir(path) as entries:
                        next(entries, None)
            except OSError as error:
                raise StorageUnavailable(
                    f"{path}: cannot be read any more: {_reason(error)}"
                ) from error
            if device != before:
                raise StorageUnavailable(f"{path}: is on another disk than before")


def read_result(job):
    """The `ShardResult` of `job` if an earlier run finished it, else None."""
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


class ShardWriter:
    """Writes shards; the `work` of a worker pool.

    Attributes:
      convert: callable, `Input` -> `Converted` or list of serialized records; raises
        `SetAside`.
      inputs_of: callable, `ShardJob` -> iterable of its `Input`s.
      source: the `InputStorage` that the inputs lie in.
    """

    def __init__(self, convert, inputs_of, source):
        self.convert = convert
        self.inputs_of = inputs_of
        self.source = source

    def __call__(self, order):
        """Writes one shard, then its sidecar, each atomically.

        Args:
          order: (job, lethal): a `ShardJob`, and {key: reason} of the inputs in it that
            ended or overran a worker and are not to be touched again.

        Yields:
          each input's key before it is converted, and None after it.

        Returns:
          `ShardResult`, or `ShardFailure` when the shard cannot be written or its inputs
          cannot be read any more.
        """
        import tensorflow as tf

        job, lethal = order
        temporary = files.temporary_name(job.path)
        tally = _Tally()
        try:
            with tf.io.TFRecordWriter(files.native_path(temporary)) as writer:
                for item in self.inputs_of(job):
                    yield item.key
                    records = self._convert(item, lethal, tally)
                    yield None
                    for record in records:
                        writer.write(record)
                        tally.bytes += len(record) + _FRAME_BYTES
                    tally.records += len(records)
            # A video whose disk went while it was read is one that ends early.
            self.source.check()
            return _publish(job, temporary, tally)
        except StorageUnavailable as lost:
            failed = ShardFailure(str(lost))
        except (OSError, UnicodeError, sqlite3.Error, tf.errors.OpError) as error:
            failed = ShardFailure(f"{job.path}: cannot be written: {_reason(error)}")
        with contextlib.suppress(OSError):
            os.remove(temporary)
        return failed

    def _convert(self, item, lethal, tally):
        """The records of one input; notes in `tally` what became of it.

        Raises:
          StorageUnavailable: nothing can be said of the input.
        """
        try:
            if item.key in lethal:
                raise SetAside(lethal[item.key])
            converted = self.convert(item)
            if not isinstance(converted, Converted):
                converted = Converted(converted)
            if not converted.records:
                raise SetAside("gave no record", converted.counts)
            tally.add(item.key, converted)
            return converted.records
        except SetAside as error:
            reason, counts = str(error), error.counts
        except Exception as error:
            # One bad input among a million must not end the build.
            reason, counts = f"{type(error).__name__}: {error}", {}
        self.source.check()
        tally.set_aside.append((item.key, reason))
        tally.counts.update(counts)
        return []


class _Tally:
    """What a shard holds so far."""

    def __init__(self):
        self.records = self.bytes = 0
        self.set_aside = []
        self.repaired = []
        self.counts = collections.Counter()

    def add(self, key, converted):
        self.counts.update(converted.counts)
        if converted.note:
            self.repaired.append((key, converted.note))


def _publish(job, temporary, tally):
    size = os.path.getsize(temporary)
    if size != tally.bytes:
        raise OSError(f"{size} bytes arrived of {tally.bytes}")
    result = ShardResult(
        file=job.file,
        split=job.split,
        records=tally.records,
        bytes=tally.bytes,
        sha256=files.sha256(temporary),
        set_aside=tuple(tally.set_aside),
        repaired=tuple(tally.repaired),
        counts=dict(sorted(tally.counts.items())),
    )
    files.publish(temporary, job.path)
    files.write_atomically(job.sidecar, json.dumps(dataclasses.asdict(result)))
    return result


def _reason(error):
    """The operating system's own words where there are some."""
    return getattr(error, "strerror", None) or getattr(error, "message", str(error))
