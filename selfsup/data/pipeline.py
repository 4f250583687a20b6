"""The input pipeline: an endless, reproducible stream of batches from any position.

A position is the number of examples consumed so far. The order of the records and the seed
of each example are functions of (seed, position), so the position is the complete state of
the input: a checkpoint stores one integer, and a resumed run reads what it would have read
without the interruption.

An epoch is a permutation of the shards, divided into windows of `WINDOW_SHARDS`. Records
are interleaved and shuffled within a window only, so that resuming reads at most one window
again.

A shard is read up to its first damage. Records of other shards replace the records after
the damage, so that damage does not change any other position. Each example tells whether it
is such a replacement example (`REPLACED_SHARD`).
"""

from __future__ import annotations

import bisect
import functools
import itertools
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

import tensorflow as tf

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data import manifest, records
from selfsup.data.shard_reading import (
    REPLACED_SHARD,
    RecordSource,
    native_paths,
    one_pass,
    shard_reader,
    whole_records,
)

__all__ = [
    "REPLACED_SHARD",
    "DatasetSplit",
    "ExampleMaker",
    "RecordSource",
    "centre_crop",
    "example_seed",
    "native_paths",
    "one_pass",
    "parse",
    "plain_images",
    "record_stream",
    "select_sets",
    "split_replaced_shard",
    "training_batches",
    "validation_batches",
    "whole_records",
]

WINDOW_SHARDS = 16
SHUFFLE_BUFFER = 2048
# Number of records that are read before they are decoded. Decoding continues with these
# while the shuffle buffer of the next window is filled.
_READ_AHEAD = 128
# Kinds of data sets, best first, for a task that can use several kinds. Data sets made
# for evaluations come last.
_PREFERRED = (
    manifest.PHOTOS,
    manifest.VIDEO_FRAMES,
    manifest.OBJECTS,
    manifest.RGBD,
)


class ExampleMaker(Protocol):
    """The part of a task that runs in the input pipeline."""

    @property
    def features(self) -> tuple[str, ...]:
        """Features of records that `preprocess_example` needs; see `data.records`."""

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Makes an example of a record.

        Args:
          record: see `parse`.
          seed: int32 [2].
        """


def select_sets(
    features: Iterable[str], sets: Sequence[manifest.Manifest]
) -> list[manifest.Manifest]:
    """Selects the data sets that a task trains on.

    Tasks on images use photos if there are photos and video frames otherwise (paper
    section 2, "Datasets"). They use data sets with boxes or depth only if there are no
    others.

    Args:
      features: features of records that the task reads.
      sets: the available data sets.

    Raises:
      UserError: no data set has the features.
    """
    needed = tuple(features)
    usable = [built for built in sets if set(needed) <= set(built.features)]
    if not usable:
        available = ", ".join(
            f"{built.directory} ({', '.join(built.features)})" for built in sets
        )
        raise UserError(
            f"no data set has the features {', '.join(needed)}; available: {available}"
        )
    kind = min({built.kind for built in usable}, key=_PREFERRED.index)
    return [built for built in usable if built.kind == kind]


class DatasetSplit:
    """The shards of one split of some data sets, in a fixed order; a `RecordSource`.

    Attributes:
      files: paths of the shards that are not empty.
      counts: number of records in each shard, according to the manifest.
      records: number of records in all shards.
      damaged: indices of the shards whose size differs from the manifest. The constructor
        warns about them.
    """

    def __init__(self, sets: Sequence[manifest.Manifest], split: str) -> None:
        """Checks that the shards exist and that at least one record can be read.

        Args:
          sets: the data sets.
          split: name of the split.

        Raises:
          UserError: a shard cannot be read, or the split has no readable record.
        """
        shards = [
            (built.directory, shard)
            for built in sets
            for shard in built.split(split)
            if shard.records
        ]
        self.files: list[str] = [
            tf.io.gfile.join(folder, shard.file) for folder, shard in shards
        ]
        self.counts = [shard.records for _, shard in shards]
        self.records = sum(self.counts)
        folders = ", ".join(built.directory for built in sets)
        if not self.records:
            raise UserError(f"no records in the {split} split of {folders}")
        self.damaged = tuple(
            index
            for index, (path, (_, shard)) in enumerate(zip(self.files, shards))
            if not _has_size(path, shard.bytes)
        )
        readable = tf.data.Dataset.from_tensor_slices(native_paths(self)).flat_map(
            whole_records
        )
        if not any(True for _ in readable.take(1)):
            raise UserError(f"no whole record in the {split} split of {folders}")


def _has_size(path: str, expected: int) -> bool:
    """Whether a shard has the size in its manifest; prints a warning if it has not."""
    try:
        size = tf.io.gfile.stat(files.native_path(path)).length
    except tf.errors.OpError as error:
        raise UserError(
            f"{path}: in the manifest, but cannot be read: {error.message}"
        ) from error
    if size != expected:
        _warn(
            f"warning: {path}: is damaged: it has {size} bytes, its manifest says "
            f"{expected}; its readable records are used"
        )
    return size == expected


@functools.cache
def _warn(text: str) -> None:
    """Prints `text` the first time; several tasks may read the same shard."""
    print(text, file=sys.stderr, flush=True)


def _shard_order(num_shards: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """Returns the permutation of the shards in an epoch: int32 [num_shards]."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.stateless_shuffle(tf.range(num_shards), seed=key)


def _locate(source: RecordSource, seed: int, position: int) -> tuple[int, int, int]:
    """Returns the epoch and the window of a position, and its offset in the window."""
    epoch, offset = divmod(position, source.records)
    order = _shard_order(len(source.files), seed, epoch).numpy()
    counts = [source.counts[shard] for shard in order]
    windows = [
        sum(counts[first : first + WINDOW_SHARDS])
        for first in range(0, len(counts), WINDOW_SHARDS)
    ]
    ends = list(itertools.accumulate(windows))
    window = bisect.bisect_right(ends, offset)
    return epoch, window, offset - (ends[window] - windows[window])


def record_stream(source: RecordSource, seed: int, position: int) -> tf.data.Dataset:
    """Reads records in training order, without end.

    Args:
      source: the records.
      seed: determines the order.
      position: number of records consumed so far.

    Returns:
      tf.data.Dataset of pairs: a serialized record and the value of `REPLACED_SHARD`.
    """
    first_epoch, first_window, skip = _locate(source, seed, position)
    read = shard_reader(source)

    def windows_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = _shard_order(len(source.files), seed, epoch)
        windows = tf.data.Dataset.from_tensor_slices(order).batch(WINDOW_SHARDS)
        return windows.enumerate().map(lambda index, shards: (epoch, index, shards))

    def records_of_window(
        epoch: tf.Tensor, window: tf.Tensor, shards: tf.Tensor
    ) -> tf.data.Dataset:
        shards = tf.data.Dataset.from_tensor_slices(tf.cast(shards, tf.int64))
        stream = shards.interleave(read, cycle_length=WINDOW_SHARDS)
        # An odd multiplier spreads epochs and windows over the 64-bit seeds.
        window_seed = seed + 0x9E3779B1 * (epoch * (1 << 20) + window + 1)
        return stream.shuffle(SHUFFLE_BUFFER, window_seed, False)

    windows = tf.data.Dataset.counter(first_epoch).flat_map(windows_of_epoch)
    return windows.skip(first_window).flat_map(records_of_window).skip(skip)


def example_seed(seed: int, position: int | tf.Tensor) -> tf.Tensor:
    """Returns the seed of the example at a position: int32 [2]."""
    return tf.stack([tf.cast(seed, tf.int32), tf.cast(position, tf.int32)])


def training_batches(
    task: ExampleMaker,
    source: RecordSource,
    seed: int,
    position: int,
    batch_size: int,
) -> tf.data.Dataset:
    """Makes batches of a task's training examples, without end.

    Args:
      task: makes the examples.
      source: records with the task's features.
      seed: determines the order and the randomness of the examples.
      position: number of examples consumed so far.
      batch_size: number of examples in a batch.

    Returns:
      tf.data.Dataset of dicts: the task's examples with a leading dimension of
      `batch_size`, and `REPLACED_SHARD`; see `split_replaced_shard`.
    """
    positions = tf.data.Dataset.counter(position)
    serialized = record_stream(source, seed, position).prefetch(_READ_AHEAD)
    numbered = tf.data.Dataset.zip((positions, serialized))
    return _batched(task, numbered, seed, batch_size).prefetch(2)


def parse(serialized: tf.Tensor, features: Iterable[str]) -> dict[str, tf.Tensor]:
    """Decodes a record for a task; see `records.parse`.

    The result also has "encoded", the image file as a scalar string. A task that cuts a
    part out of the image decodes that part only: features that it does not use are never
    decoded.

    Args:
      serialized: scalar string.
      features: of the task.
    """
    return records.parse(serialized, (*features, records.ENCODED))


def split_replaced_shard(
    examples: dict[str, tf.Tensor],
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Splits a batch into the task's examples and `REPLACED_SHARD`, int32 [B]."""
    examples = dict(examples)
    return examples, examples.pop(REPLACED_SHARD)


def validation_batches(
    task: ExampleMaker, source: RecordSource, seed: int, batch_size: int
) -> tf.data.Dataset:
    """Makes batches of one pass over a held-out split, from its shards in turn.

    A shard may have the frames of a single clip, and a validation may read a few batches
    only; in file order it would measure one clip. Order and seeds are the same in each
    pass, so that the metrics of a run are comparable over time. The first examples are
    repeated to complete the last batch. No batch contains an example twice, because heads
    treat the other examples of a batch as different images; the exception is a split with
    one record.

    Args:
      task: makes the examples.
      source: the held-out records.
      seed: determines the randomness of the examples.
      batch_size: number of examples in a batch; less if the split has fewer records.

    Returns:
      tf.data.Dataset; see `training_batches`.
    """
    batch_size = max(2, min(batch_size, source.records))
    shards = tf.data.Dataset.range(len(source.files))
    stream = shards.interleave(shard_reader(source), cycle_length=WINDOW_SHARDS)
    batches = -(-source.records // batch_size)
    return _batched(task, stream.repeat().enumerate(), seed, batch_size).take(batches)


def plain_images(source: RecordSource, size: int, batch_size: int) -> tf.data.Dataset:
    """Reads the centre crops of a split once, for statistics.

    Args:
      source: records with images.
      size: side of the crop in pixels; the shorter side is first resized to it.
      batch_size: number of images in a batch; the last batch may have fewer.

    Returns:
      tf.data.Dataset of float32 [B, size, size, 3] in [0, 1].
    """

    def crop(serialized: tf.Tensor) -> tf.Tensor:
        image = records.parse(serialized, (records.IMAGE,))["image"]
        return centre_crop(image, size)

    images = one_pass(source).map(
        crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return images.batch(batch_size).prefetch(2)


def centre_crop(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes the shorter side of an image to `size` and returns the centre.

    Args:
      image: uint8 [H, W, 3].
      size: side of the crop in pixels.

    Returns:
      float32 [size, size, 3] in [0, 1].
    """
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scaled = tf.round(shape * size / tf.reduce_min(shape))
    image = tf.image.resize(image, tf.cast(scaled, tf.int32), antialias=True)
    image = tf.image.resize_with_crop_or_pad(image, size, size)
    return tf.clip_by_value(image / 255.0, 0.0, 1.0)


def _batched(
    task: ExampleMaker, numbered: tf.data.Dataset, seed: int, batch_size: int
) -> tf.data.Dataset:
    """Makes batches of (position, (serialized record, `REPLACED_SHARD`)) elements."""

    def prepare(
        position: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        serialized, replaced_shard = element
        record = parse(serialized, task.features)
        example = task.preprocess_example(record, example_seed(seed, position))
        return {**example, REPLACED_SHARD: replaced_shard}

    examples = numbered.map(
        prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    options = tf.data.Options()
    options.deterministic = True
    return examples.batch(batch_size, drop_remainder=True).with_options(options)
