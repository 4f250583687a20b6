"""The input pipeline: an endless, reproducible stream of batches at any position.

A position is the number of examples consumed. The order of records and each example's
seed follow from (seed, position) alone, so the position is the whole input state: a
checkpoint stores one integer, and a resumed run reads what it would have read.

An epoch is a permutation of the shards, cut into windows of `WINDOW_SHARDS`. Records
are interleaved and shuffled inside a window and never across, so that resuming reads
at most one window again.

A shard is read up to its first damage. Records of other shards take the place of those
behind it, so that damage moves no position, and each example says whether it is such a
stand-in (`REPLACED_SHARD`).
"""

import bisect
import functools
import itertools
import sys
from typing import Protocol

import tensorflow as tf

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data import manifest, records

WINDOW_SHARDS = 16
SHUFFLE_BUFFER = 2048
# Records read ahead of those that are decoded, which goes on while the shuffle buffer of
# the next window is filled.
_READ_AHEAD = 128
# Key in every example, int32: the index in `RecordSource.files` of the damaged shard whose
# record it stands in for, or -1.
REPLACED_SHARD = "pipeline/replaced_shard"
# Kinds of sets, the sooner the better for a task that can do with any of them: sets that
# evaluations are made for come last.
_PREFERRED = (
    manifest.PHOTOS,
    manifest.VIDEO_FRAMES,
    manifest.OBJECTS,
    manifest.RGBD,
)


def select_sets(features, sets):
    """The built sets that a task with `features` trains on.

    The image tasks take photos where there are any and video frames otherwise (paper
    section 2, "Datasets"); sets with boxes or depth only where there is nothing else.

    Args:
      features: record features that the task reads.
      sets: `Manifest`s found below the data folder.

    Raises:
      UserError: when no set has them.
    """
    usable = [one for one in sets if set(features) <= set(one.features)]
    if not usable:
        have = ", ".join(f"{one.directory} ({', '.join(one.features)})" for one in sets)
        raise UserError(
            f"no built set has the features {', '.join(features)}; found: {have}"
        )
    kinds = {one.kind for one in usable}
    wanted = min(kinds, key=_PREFERRED.index)
    return [one for one in usable if one.kind == wanted]


class RecordSource(Protocol):
    """Shards of records that the pipeline reads; what every reader below takes.

    `DatasetSplit` is one, `selfsup.data.replica_share.ReplicaShare` another.
    """

    @property
    def files(self) -> list[str]:
        """Paths of the shards."""

    @property
    def counts(self) -> list[int]:
        """Number of records in each shard, by the manifest."""

    @property
    def records(self) -> int:
        """Number of records in all shards."""


class DatasetSplit:
    """The shards of one split of some sets, in a fixed order.

    Attributes:
      files: their paths.
      counts: records in each, by the manifest.
      records: in all.
      damaged: indices of the shards that have not the size that the manifest says;
        they are warned about.
    """

    def __init__(self, sets, split):
        shards = [(one.directory, shard) for one in sets for shard in one.split(split)]
        shards = [(folder, shard) for folder, shard in shards if shard.records]
        self.files = [tf.io.gfile.join(folder, shard.file) for folder, shard in shards]
        self.counts = [shard.records for _, shard in shards]
        self.records = sum(self.counts)
        folders = ", ".join(one.directory for one in sets)
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


def native_paths(source) -> list[bytes]:
    """The paths of a `RecordSource`, or of a share of it, as TensorFlow takes them."""
    return [files.native_path(path) for path in source.files]


def _has_size(path, expected):
    """Whether a shard has the size that its manifest says; warns where it has not."""
    try:
        found = tf.io.gfile.stat(files.native_path(path)).length
    except tf.errors.OpError as error:
        raise UserError(
            f"{path}: in the manifest, but cannot be read: {error.message}"
        ) from error
    if found != expected:
        _warn(
            f"warning: {path}: is damaged: it has {found} bytes, its manifest says "
            f"{expected}; what can be read of it is used"
        )
    return found == expected


@functools.cache
def _warn(text):
    """Prints `text` once, as tasks share shards."""
    print(text, file=sys.stderr, flush=True)


def whole_records(path):
    """The records of a shard up to its first damage: tf.data.Dataset of strings.

    Args:
      path: bytes or scalar string tensor. That it is missing is an error.
    """
    # Ignoring errors would open a missing file again and again for ever; this look at
    # its first byte, whose errors count, comes before.
    opened = tf.data.FixedLengthRecordDataset(path, 1, buffer_size=1).take(1)
    return opened.flat_map(lambda _: tf.data.TFRecordDataset(path).ignore_errors())


def one_pass(source):
    """All records of a `RecordSource` in file order: tf.data.Dataset of strings.

    Stand-ins make up for lost ones, so there are `source.records` in any case.
    """
    return _in_file_order(source).map(lambda serialized, _: serialized)


def _in_file_order(source):
    shards = tf.data.Dataset.range(len(source.files))
    return shards.flat_map(_shard_reader(source))


def _shard_reader(source):
    """Function from a shard's index to its records, as many as the manifest says.

    The dataset's elements are (serialized record, stand-in as of `REPLACED_SHARD`).
    """
    paths = tf.constant(native_paths(source))
    counts = tf.constant(source.counts, tf.int64)
    total = len(source.files)

    def read(shard):
        others = tf.data.Dataset.range(1, total + 1).flat_map(
            lambda step: whole_records(paths[(shard + step) % total])
        )
        # Opened only where the shard's own records end early.
        stream = _tagged(whole_records(paths[shard]), -1)
        stream = stream.concatenate(_tagged(others.repeat(), shard))
        return stream.concatenate(_nothing_left()).take(counts[shard])

    return read


def _tagged(stream, stand_in):
    """Elements and the same number beside each; no function runs a record for it."""
    tag = tf.data.Dataset.from_tensors(tf.cast(stand_in, tf.int32)).repeat()
    return tf.data.Dataset.zip((stream, tag))


def _nothing_left():
    """Fails when it is read: the last resort, in place of waiting for ever."""

    def fail(_):
        message = "no shard has a whole record any more"
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.constant(b""), tf.constant(-1)

    return tf.data.Dataset.range(1).map(fail)


def _shard_order(num_shards, seed, epoch):
    """Permutation of the shards in `epoch`: int32 [num_shards]."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.stateless_shuffle(tf.range(num_shards), seed=key)


def _locate(source, seed, position):
    """(epoch, window, records to skip in it) of a position."""
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


def record_stream(source, seed, position):
    """Records from `position` on, for ever.

    Args:
      source: a `RecordSource`.
      seed: int; another seed, another order.
      position: number of records consumed so far.

    Returns:
      tf.data.Dataset of (serialized record, stand-in as of `REPLACED_SHARD`).
    """
    first_epoch, first_window, skip = _locate(source, seed, position)
    read = _shard_reader(source)

    def windows_of(epoch):
        order = _shard_order(len(source.files), seed, epoch)
        windows = tf.data.Dataset.from_tensor_slices(order).batch(WINDOW_SHARDS)
        return windows.enumerate().map(lambda index, shards: (epoch, index, shards))

    def records_of(epoch, window, shards):
        shards = tf.data.Dataset.from_tensor_slices(tf.cast(shards, tf.int64))
        stream = shards.interleave(read, cycle_length=WINDOW_SHARDS)
        # An odd multiplier spreads epochs and windows over the 64-bit seeds.
        window_seed = seed + 0x9E3779B1 * (epoch * (1 << 20) + window + 1)
        return stream.shuffle(SHUFFLE_BUFFER, window_seed, False)

    windows = tf.data.Dataset.counter(first_epoch).flat_map(windows_of)
    return windows.skip(first_window).flat_map(records_of).skip(skip)


def example_seed(seed, position):
    """int32 [2]: the seed of the example at `position`."""
    return tf.stack([tf.cast(seed, tf.int32), tf.cast(position, tf.int32)])


def training_batches(task, source, seed, position, batch_size):
    """Batches of `task`'s examples for training, for ever.

    Args:
      task: a `Task`; its `preprocess_example` runs here.
      source: a `RecordSource` of records with the task's features.
      seed: int, of the order and of the examples.
      position: number of examples consumed so far.
      batch_size: examples a batch.

    Returns:
      tf.data.Dataset of dicts of tensors with a leading [batch_size]: the task's
      examples and `REPLACED_SHARD`; see `split_replaced_shard`.
    """
    positions = tf.data.Dataset.counter(position)
    serialized = record_stream(source, seed, position).prefetch(_READ_AHEAD)
    numbered = tf.data.Dataset.zip((positions, serialized))
    return _batched(task, numbered, seed, batch_size).prefetch(2)


def parse(serialized, features):
    """`records.parse`, and "encoded", scalar string: the image's bytes.

    A task that cuts its part out of those need not wait for the whole to be decoded:
    what a task does not use of a record is never computed.
    """
    spec = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    encoded = tf.io.parse_single_example(serialized, spec)["image/encoded"]
    return {**records.parse(serialized, features), "encoded": encoded}


def split_replaced_shard(examples):
    """Parts a batch: (the task's examples, stand-in as of `REPLACED_SHARD`, int32 [B])."""
    examples = dict(examples)
    return examples, examples.pop(REPLACED_SHARD)


def validation_batches(task, source, seed, batch_size):
    """One pass over a held-out split in file order; the last batch is filled up.

    The same seeds each time, so that numbers along a run are comparable. No batch holds
    an example twice, as heads take the others for other images; only a split of one
    example is repeated.
    """
    batch_size = max(2, min(batch_size, source.records))
    stream = _in_file_order(source).repeat()
    batches = -(-source.records // batch_size)
    return _batched(task, stream.enumerate(), seed, batch_size).take(batches)


def plain_images(source, size, batch_size):
    """One pass over a split as centre crops, for statistics rather than training.

    Args:
      source: a `RecordSource` of records with images.
      size: side of the crop; the shorter side is first resized to it.
      batch_size: images a batch; the last may have fewer.

    Returns:
      tf.data.Dataset of float32 [B, size, size, 3] in [0, 1].
    """

    def crop(serialized):
        image = records.parse(serialized, (records.IMAGE,))["image"]
        return centre_crop(image, size)

    images = one_pass(source).map(
        crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return images.batch(batch_size).prefetch(2)


def centre_crop(image, size):
    """The centre of an image, its shorter side first resized to `size`.

    Args:
      image: uint8 [H, W, 3].
      size: pixels.

    Returns:
      float32 [size, size, 3] in [0, 1].
    """
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scaled = tf.round(shape * size / tf.reduce_min(shape))
    image = tf.image.resize(image, tf.cast(scaled, tf.int32), antialias=True)
    image = tf.image.resize_with_crop_or_pad(image, size, size)
    return tf.clip_by_value(image / 255.0, 0.0, 1.0)


def _batched(task, numbered, seed, batch_size):
    def prepare(position, element):
        serialized, stand_in = element
        record = parse(serialized, task.features)
        example = task.preprocess_example(record, example_seed(seed, position))
        return {**example, REPLACED_SHARD: stand_in}

    examples = numbered.map(
        prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    options = tf.data.Options()
    options.deterministic = True
    return examples.batch(batch_size, drop_remainder=True).with_options(options)
