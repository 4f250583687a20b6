"""The input pipeline: an endless, reproducible stream of batches at any position.

A position is the number of examples consumed. The order of records and each example's
seed follow from (seed, position) alone, so the position is the whole input state: a
checkpoint stores one integer, and a resumed run reads what it would have read.

An epoch is a permutation of the shards, cut into windows of `WINDOW_SHARDS`. Records
are interleaved and shuffled inside a window and never across, so that resuming reads
at most one window again.
"""

import bisect
import itertools

import tensorflow as tf

from selfsup.data import manifest, records
from selfsup.errors import UserError

WINDOW_SHARDS = 16
SHUFFLE_BUFFER = 2048


def sets_for(features, sets):
    """The built sets that a task with `features` trains on.

    A task takes the sets that have its features and as little else as can be: the image
    tasks take photos where there are any and video frames otherwise (paper section 2,
    "Datasets").

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
    wanted = manifest.PHOTOS if manifest.PHOTOS in kinds else min(kinds)
    return [one for one in usable if one.kind == wanted]


class Source:
    """The shards of one split of some sets, in a fixed order."""

    def __init__(self, sets, split):
        shards = [(one.directory, shard) for one in sets for shard in one.split(split)]
        shards = [(folder, shard) for folder, shard in shards if shard.records]
        self.files = [tf.io.gfile.join(folder, shard.file) for folder, shard in shards]
        for path, (_, shard) in zip(self.files, shards):
            _check_size(path, shard.bytes)
        self.counts = [shard.records for _, shard in shards]
        self.records = sum(self.counts)
        if not self.records:
            folders = ", ".join(one.directory for one in sets)
            raise UserError(f"no records in the {split} split of {folders}")


def _check_size(path, expected):
    """Refuses a shard that is missing or cut: positions would mean other records."""
    try:
        found = tf.io.gfile.stat(path).length
    except tf.errors.OpError as error:
        raise UserError(
            f"{path}: in the manifest, but cannot be read: {error}"
        ) from error
    if found != expected:
        raise UserError(
            f"{path}: has {found} bytes, its manifest says {expected}; build it again"
        )


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
    """Serialized records from `position` on, for ever.

    Args:
      source: a `Source`.
      seed: int; another seed, another order.
      position: number of records consumed so far.
    """
    first_epoch, first_window, skip = _locate(source, seed, position)
    files = tf.constant(source.files)

    def windows_of(epoch):
        order = _shard_order(len(source.files), seed, epoch)
        windows = tf.data.Dataset.from_tensor_slices(order).batch(WINDOW_SHARDS)
        return windows.enumerate().map(lambda index, shards: (epoch, index, shards))

    def records_of(epoch, window, shards):
        names = tf.data.Dataset.from_tensor_slices(tf.gather(files, shards))
        stream = names.interleave(tf.data.TFRecordDataset, cycle_length=WINDOW_SHARDS)
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
      source: a `Source` of records with the task's features.
      seed: int, of the order and of the examples.
      position: number of examples consumed so far.
      batch_size: examples a batch.

    Returns:
      tf.data.Dataset of dicts of tensors with a leading [batch_size].
    """
    positions = tf.data.Dataset.counter(position)
    numbered = tf.data.Dataset.zip((positions, record_stream(source, seed, position)))
    return _batched(task, numbered, seed, batch_size).prefetch(2)


def validation_batches(task, source, seed, batch_size):
    """One pass over a held-out split in file order; the last batch is filled up.

    The same seeds each time, so that numbers along a run are comparable. No batch holds
    an example twice, as heads take the others for other images; only a split of one
    example is repeated.
    """
    batch_size = max(2, min(batch_size, source.records))
    stream = tf.data.TFRecordDataset(source.files).repeat()
    batches = -(-source.records // batch_size)
    return _batched(task, stream.enumerate(), seed, batch_size).take(batches)


def plain_images(source, size, batch_size):
    """One pass over a split as centre crops, for statistics rather than training.

    Args:
      source: a `Source` of records with images.
      size: side of the crop; the shorter side is first resized to it.
      batch_size: images a batch; the last may have fewer.

    Returns:
      tf.data.Dataset of float32 [B, size, size, 3] in [0, 1].
    """

    def crop(serialized):
        image = records.parse(serialized, (records.IMAGE,))["image"]
        return centre_crop(image, size)

    stream = tf.data.TFRecordDataset(source.files)
    images = stream.map(crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
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
    def prepare(position, serialized):
        record = records.parse(serialized, task.features)
        return task.preprocess_example(record, example_seed(seed, position))

    examples = numbered.map(
        prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    options = tf.data.Options()
    options.deterministic = True
    return examples.batch(batch_size, drop_remainder=True).with_options(options)
