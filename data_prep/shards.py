"""One shard of a data set: the unit of a builder's work (runs in a worker process)."""

import contextlib
import dataclasses
import json
import os

from selfsup.data import files
from selfsup.errors import UserError

# Where the state that makes a build resumable lives, below the output folder.
STATE_FOLDER = ".build"
# Framing that the TFRecord format adds to every record: length, two checksums.
_FRAME_BYTES = 16


class SetAside(Exception):
    """An input cannot be used; the message is the reason, for the user."""


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """A shard to write.

    Attributes:
      directory: the output folder.
      file: the shard's name in it.
      split: "train" or "validation".
      keys: the inputs that belong to it, in order.
    """

    directory: str
    file: str
    split: str
    keys: tuple

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
    """

    file: str
    split: str
    records: int
    bytes: int
    sha256: str
    set_aside: tuple


@dataclasses.dataclass(frozen=True)
class Failed:
    """The shard could not be made, by no fault of an input's; `reason` says why."""

    reason: str


class SourceLost(Exception):
    """The input folder cannot be read any more; the message says why."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The input folder of a build, to tell a bad input from a disk that is gone.

    Attributes:
      directory: its path.
      device: number of the file system that it was on when the build began.
    """

    directory: str
    device: int

    @classmethod
    def of(cls, directory):
        """The folder as it is now.

        Raises:
          UserError: when it cannot be read.
        """
        try:
            return cls(directory, os.stat(directory).st_dev)
        except OSError as error:
            raise UserError(f"{directory}: cannot be read: {error}") from error

    def check(self):
        """Raises `SourceLost` when the folder is gone, or its disk was unmounted."""
        try:
            device = os.stat(self.directory).st_dev
            with os.scandir(self.directory) as entries:
                next(entries, None)
        except OSError as error:
            raise SourceLost(
                f"{self.directory}: cannot be read any more: {_reason(error)}"
            ) from error
        if device != self.device:
            raise SourceLost(f"{self.directory}: is on another disk than before")


def finished(job):
    """The `ShardResult` of `job` if an earlier run finished it, else None."""
    try:
        with open(job.sidecar, encoding="utf-8") as file:
            fields = json.load(file)
        fields["set_aside"] = tuple(tuple(pair) for pair in fields["set_aside"])
        result = ShardResult(**fields)
        size = os.path.getsize(job.path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if size == result.bytes else None


class ShardWriter:
    """Writes shards; the `work` of a worker pool.

    Attributes:
      convert: callable, key -> list of serialized records; raises `SetAside`.
      source: the `Source` that the inputs lie in, or None.
    """

    def __init__(self, convert, source=None):
        self.convert = convert
        self.source = source

    def __call__(self, order):
        """Writes one shard, then its sidecar, each atomically.

        Args:
          order: (`ShardJob`, {key: reason}): the inputs in the dict are not touched
            but set aside, as they were found to kill the process or to keep it.

        Yields:
          each input's key before it is converted, and None after it.

        Returns:
          a `ShardResult`, or `Failed`.
        """
        import tensorflow as tf

        job, lethal = order
        temporary = f"{job.path}.{os.getpid()}.tmp"
        counts = {"records": 0, "bytes": 0}
        set_aside = []
        try:
            with tf.io.TFRecordWriter(temporary) as writer:
                for key in job.keys:
                    yield key
                    records = self._convert(key, lethal, set_aside)
                    yield None
                    for record in records:
                        writer.write(record)
                        counts["bytes"] += len(record) + _FRAME_BYTES
                    counts["records"] += len(records)
            # A video whose disk went while it was read is one that ends early.
            self._check_source()
            return _publish(job, temporary, counts, tuple(set_aside))
        except SourceLost as lost:
            failed = Failed(str(lost))
        except (OSError, tf.errors.OpError) as error:
            failed = Failed(f"{job.path}: cannot be written: {_reason(error)}")
        with contextlib.suppress(OSError):
            os.remove(temporary)
        return failed

    def _convert(self, key, lethal, set_aside):
        """The records of one input; appends to `set_aside` when there are none.

        Raises:
          SourceLost: nothing can be said of the input.
        """
        try:
            if key in lethal:
                raise SetAside(lethal[key])
            records = self.convert(key)
            if not records:
                raise SetAside("gave no record")
            return records
        except SetAside as error:
            reason = str(error)
        except Exception as error:
            # One bad input among a million must not end the build.
            reason = f"{type(error).__name__}: {error}"
        self._check_source()
        set_aside.append((key, reason))
        return []

    def _check_source(self):
        if self.source is not None:
            self.source.check()


def _publish(job, temporary, counts, set_aside):
    size = os.path.getsize(temporary)
    if size != counts["bytes"]:
        raise OSError(f"{size} bytes arrived of {counts['bytes']}")
    result = ShardResult(
        file=job.file,
        split=job.split,
        sha256=files.sha256(temporary),
        set_aside=set_aside,
        **counts,
    )
    files.publish(temporary, job.path)
    files.write_atomically(job.sidecar, json.dumps(dataclasses.asdict(result)))
    return result


def _reason(error):
    """The operating system's own words where there are some."""
    return getattr(error, "strerror", None) or getattr(error, "message", str(error))
