"""Reads the records of shards, with replacements for records in damaged parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from selfsup.common import files

# Key in every example, int32: for a replacement example the index in `RecordSource.files`
# of the damaged shard whose record it replaces, otherwise -1.
REPLACED_SHARD = "pipeline/replaced_shard"


class RecordSource(Protocol):
    """Shards of records that the functions of this module read.

    `DatasetSplit` and `selfsup.data.replica_share.ReplicaShare` implement it.
    """

    @property
    def files(self) -> list[str]:
        """Paths of the shards."""

    @property
    def counts(self) -> list[int]:
        """Number of records in each shard, according to the manifest."""

    @property
    def records(self) -> int:
        """Number of records in all shards."""


def native_paths(source: RecordSource) -> list[bytes]:
    """Returns the paths of a source's shards in the form that TensorFlow accepts."""
    return [files.native_path(path) for path in source.files]


def whole_records(path: bytes | tf.Tensor) -> tf.data.Dataset:
    """Reads the records of a shard before its first damage.

    Args:
      path: bytes or scalar string tensor.

    Returns:
      tf.data.Dataset of scalar strings. Iterating it raises `tf.errors.NotFoundError` for
      a missing file.
    """
    # `ignore_errors` would try to open a missing file again and again without end, so the
    # first byte is read before, where an error counts.
    opened = tf.data.FixedLengthRecordDataset(path, 1, buffer_size=1).take(1)
    return opened.flat_map(lambda _: tf.data.TFRecordDataset(path).ignore_errors())


def one_pass(source: RecordSource) -> tf.data.Dataset:
    """Reads all records of a source in file order.

    Returns:
      tf.data.Dataset of scalar strings. It has `source.records` elements, because
      replacements fill the place of missing records.
    """
    return in_file_order(source).map(lambda serialized, _: serialized)


def in_file_order(source: RecordSource) -> tf.data.Dataset:
    """Reads all shards of a source, one after the other; see `shard_reader`."""
    shards = tf.data.Dataset.range(len(source.files))
    return shards.flat_map(shard_reader(source))


def shard_reader(source: RecordSource) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Returns a function from the index of a shard to its records.

    Each result has as many elements as the manifest says. The elements are pairs of a
    serialized record and the value of `REPLACED_SHARD`.
    """
    paths = tf.constant(native_paths(source))
    counts = tf.constant(source.counts, tf.int64)
    total = len(source.files)

    def read(shard: tf.Tensor) -> tf.data.Dataset:
        others = tf.data.Dataset.range(1, total + 1).flat_map(
            lambda step: whole_records(paths[(shard + step) % total])
        )
        # `concatenate` opens the other shards only if this shard ends early.
        stream = _tagged(whole_records(paths[shard]), -1)
        stream = stream.concatenate(_tagged(others.repeat(), shard))
        return stream.concatenate(_no_whole_record()).take(counts[shard])

    return read


def _tagged(
    stream: tf.data.Dataset, replaced_shard: int | tf.Tensor
) -> tf.data.Dataset:
    """Pairs each element with the same number, without a function call per element."""
    tag = tf.data.Dataset.from_tensors(tf.cast(replaced_shard, tf.int32)).repeat()
    return tf.data.Dataset.zip((stream, tag))


def _no_whole_record() -> tf.data.Dataset:
    """Raises an error when it is read; without it the reader would wait forever."""

    def fail(_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        message = "no shard has a whole record any more"
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.constant(b""), tf.constant(-1)

    return tf.data.Dataset.range(1).map(fail)
