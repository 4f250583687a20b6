"""Times the input pipelines of tasks against bare JPEG decoding of the same files."""

import dataclasses
import os
import statistics
import time

import numpy as np
import tensorflow as tf

from selfsup.data import manifest, pipeline, records

_BUFFERED_BATCHES = 6
_SYNTHETIC_PHOTOS = 128
# Each photo is written so often: an epoch of 128 records would begin anew, with all its
# shards opened, every fourth batch, as none of a real set does.
_COPIES = 4
_SYNTHETIC_SHARDS = 4
_JPEG_QUALITY = 90


@dataclasses.dataclass(frozen=True)
class Rates:
    """Medians over the rounds of one task, in source images a second.

    Attributes:
      decoding: bare JPEG decoding of the task's files.
      pipeline: decoding, `preprocess_example` and batching.
      device: `preprocess_batch`, on batches that are there already.
      ratio: of pipeline to decoding, the median over the rounds.
    """

    decoding: float
    pipeline: float
    device: float
    ratio: float


def measure(task, source, threads, images, rounds):
    """Times one task, its pipeline and bare decoding in turn in every round.

    Args:
      task: a `Task`.
      source: `pipeline.RecordSource` of its records.
      threads: that decode and preprocess, in either.
      images: source images a measurement.
      rounds: measurements of each.

    Returns:
      `Rates`.
    """
    size = task.config.batch_size
    batches = max(1, images // size)
    decoded = _limited(_bare_decoding(source, threads).batch(size).prefetch(2), threads)
    prepared = _limited(pipeline.training_batches(task, source, 1, 0, size), threads)
    preprocess = tf.function(task.preprocess_batch)
    rows = []
    # Kept for all rounds: the parallelism of a pipeline is tuned while it runs.
    iterators = iter(decoded), iter(prepared)
    for _ in range(rounds):
        seconds = [_time(iterator, batches) for iterator in iterators]
        examples, _ = pipeline.split_replaced_shard(next(iterators[1]))
        seconds.append(_time_device(preprocess, examples, batches))
        rows.append([batches * size / one for one in seconds])
    decoding, whole, device = (statistics.median(column) for column in zip(*rows))
    ratio = statistics.median(row[1] / row[0] for row in rows)
    return Rates(decoding, whole, device, ratio)


def _bare_decoding(source, threads):
    """Endless decoded photos of a source, one pixel of each: nothing is copied."""

    def decode(serialized):
        encoded = records.parse(serialized, (records.ENCODED,))["encoded"]
        return tf.io.decode_jpeg(encoded, channels=3)[0, 0]

    stream = tf.data.TFRecordDataset(pipeline.native_paths(source)).repeat()
    return stream.map(decode, num_parallel_calls=threads, deterministic=True)


def _limited(dataset, threads):
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


def _time(iterator, batches):
    """Seconds of `batches` batches, behind those that may lie ready in buffers."""
    for _ in range(_BUFFERED_BATCHES):
        next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return time.perf_counter() - start


def _time_device(preprocess, examples, batches):
    seed = tf.constant([1, 2])
    _wait(preprocess(examples, seed))
    start = time.perf_counter()
    for _ in range(batches):
        made = preprocess(examples, seed)
    _wait(made)
    return time.perf_counter() - start


def _wait(tensors):
    """Until a device has computed them."""
    for tensor in tf.nest.flatten(tensors):
        tensor.numpy()


def write_synthetic(directory):
    """Builds sets of made-up JPEGs: photos of 500x375 and frames of 320x240 with masks.

    Noise whose amplitude falls with its frequency, as in photos, so that they take
    about as many bytes as photos of that size.
    """
    _write_set(os.path.join(directory, "photos"), manifest.PHOTOS, 375, 500)
    _write_set(os.path.join(directory, "frames"), manifest.VIDEO_FRAMES, 240, 320)


def _write_set(directory, kind, height, width):
    os.makedirs(directory)
    frames = kind == manifest.VIDEO_FRAMES
    random = np.random.default_rng(height)
    shards = []
    for number in range(_SYNTHETIC_SHARDS):
        name = f"train-{number:05d}-of-{_SYNTHETIC_SHARDS:05d}.tfrecord"
        path = os.path.join(directory, name)
        serialized = [
            _record(f"{number}-{index}", random, height, width, frames)
            for index in range(_SYNTHETIC_PHOTOS // _SYNTHETIC_SHARDS)
        ] * _COPIES
        with tf.io.TFRecordWriter(path) as writer:
            for record in serialized:
                writer.write(record)
        size = os.path.getsize(path)
        shards.append(manifest.Shard(name, "train", len(serialized), size, ""))
    features = (records.IMAGE, records.MOTION_MASK) if frames else (records.IMAGE,)
    made = manifest.Manifest(kind=kind, features=features, shards=tuple(shards))
    manifest.write(made, directory)


def _record(key, random, height, width, frame):
    image = tf.io.encode_jpeg(_photo(random, height, width), quality=_JPEG_QUALITY)
    mask = b""
    if frame:
        size = [height // records.MASK_STRIDE, width // records.MASK_STRIDE, 1]
        mask = tf.io.encode_png(random.integers(0, 2, size, np.uint8)).numpy()
    return records.serialize(
        key=key, encoded=image.numpy(), height=height, width=width, motion_mask=mask
    )


def _photo(random, height, width):
    """Colored noise, uint8 [height, width, 3]."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    amplitude = 1.0 / np.maximum(frequency, 1.0 / width)
    planes = random.normal(size=(3, height, width)) * [[[1.0]], [[0.3]], [[0.3]]]
    spectrum = np.fft.rfft2(planes) * amplitude
    planes = np.fft.irfft2(spectrum, s=(height, width))
    planes = planes / planes[0].std() * 50
    # One plane of lightness, two of color.
    red, blue = planes[0] + planes[1], planes[0] + planes[2]
    green = planes[0] - (planes[1] + planes[2]) / 2
    return np.clip(np.stack([red, green, blue], -1) + 120, 0, 255).astype(np.uint8)
