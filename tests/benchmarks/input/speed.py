"""Times the input pipelines of tasks against bare JPEG decoding of the same files."""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.data import manifest, pipeline, records
from tests.support import built_sets

if TYPE_CHECKING:
    from selfsup.tasks.task import Task

_BUFFERED_BATCHES = 6
_SYNTHETIC_PHOTOS = 128
# Each photo is written so often, because an epoch of 128 records would end, and open
# all shards again, every fourth batch, which no real set does.
_COPIES = 4
_SYNTHETIC_SHARDS = 4
_JPEG_QUALITY = 90

Batch = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Rates:
    """Source images per second for one task, medians over the rounds.

    Attributes:
      decoding: bare JPEG decoding of the task's files.
      pipeline: decoding, `preprocess_example` and batching.
      device: `preprocess_batch`, on a batch that is in memory.
      ratio: pipeline to decoding, the median of the rounds' ratios.
    """

    decoding: float
    pipeline: float
    device: float
    ratio: float


def measure(
    task: Task, source: pipeline.DatasetSplit, threads: int, images: int, rounds: int
) -> Rates:
    """Times bare decoding and the pipeline of a task alternately.

    Args:
      task: the task.
      source: the task's records.
      threads: number of threads that decode and preprocess.
      images: source images per measurement.
      rounds: number of measurements of each rate.
    """
    size = task.config.batch_size
    batches = max(1, images // size)
    decoded = _limited(_bare_decoding(source, threads).batch(size).prefetch(2), threads)
    prepared = _limited(pipeline.training_batches(task, source, 1, 0, size), threads)
    preprocess = tf.function(task.preprocess_batch)
    rows = []
    # The iterators serve all rounds: tf.data tunes its parallelism while they run.
    iterators = iter(decoded), iter(prepared)
    for _ in range(rounds):
        seconds = [_time(iterator, batches) for iterator in iterators]
        examples, _ = pipeline.split_replaced_shard(next(iterators[1]))
        seconds.append(_time_device(preprocess, examples, batches))
        rows.append([batches * size / duration for duration in seconds])
    decoding, whole, device = (statistics.median(column) for column in zip(*rows))
    ratio = statistics.median(row[1] / row[0] for row in rows)
    return Rates(decoding, whole, device, ratio)


def _bare_decoding(source: pipeline.DatasetSplit, threads: int) -> tf.data.Dataset:
    """Decodes the photos without end; keeps one pixel of each, so nothing is copied."""

    def decode(serialized: tf.Tensor) -> tf.Tensor:
        encoded = records.parse(serialized, (records.ENCODED,))["encoded"]
        return tf.io.decode_jpeg(encoded, channels=3)[0, 0]

    stream = tf.data.TFRecordDataset(pipeline.native_paths(source)).repeat()
    return stream.map(decode, num_parallel_calls=threads, deterministic=True)


def _limited(dataset: tf.data.Dataset, threads: int) -> tf.data.Dataset:
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


def _time(iterator: Iterator[tf.Tensor | Batch], batches: int) -> float:
    """Seconds of `batches` batches, after those that may lie ready in buffers."""
    for _ in range(_BUFFERED_BATCHES):
        next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return time.perf_counter() - start


def _time_device(
    preprocess: Callable[[Batch, tf.Tensor], Batch], examples: Batch, batches: int
) -> float:
    seed = tf.constant([1, 2])
    _wait_for(preprocess(examples, seed))
    start = time.perf_counter()
    for _ in range(batches):
        preprocessed = preprocess(examples, seed)
    _wait_for(preprocessed)
    return time.perf_counter() - start


def _wait_for(tensors: Batch) -> None:
    """Waits until the device has computed the tensors."""
    for tensor in tf.nest.flatten(tensors):
        tensor.numpy()


def write_synthetic(directory: str) -> None:
    """Writes built sets of photos of 500x375 and of frames of 320x240 with masks.

    The JPEGs contain noise whose amplitude falls with its frequency, as in photos, so
    that they have about the size in bytes of photos.
    """
    _write_set(os.path.join(directory, "photos"), manifest.PHOTOS, 375, 500)
    _write_set(os.path.join(directory, "frames"), manifest.VIDEO_FRAMES, 240, 320)


def _write_set(directory: str, kind: str, height: int, width: int) -> None:
    os.makedirs(directory)
    frames = kind == manifest.VIDEO_FRAMES
    random = np.random.default_rng(height)
    shards = []
    for number in range(_SYNTHETIC_SHARDS):
        name = f"train-{number:05d}-of-{_SYNTHETIC_SHARDS:05d}.tfrecord"
        serialized = [
            _record(f"{number}-{index}", random, height, width, frames)
            for index in range(_SYNTHETIC_PHOTOS // _SYNTHETIC_SHARDS)
        ] * _COPIES
        shards.append(built_sets.write_shard(directory, name, "train", serialized))
    features = (records.IMAGE, records.MOTION_MASK) if frames else (records.IMAGE,)
    content = manifest.Manifest(kind=kind, features=features, shards=tuple(shards))
    manifest.write(content, directory)


def _record(
    key: str, random: np.random.Generator, height: int, width: int, frame: bool
) -> bytes:
    image = tf.io.encode_jpeg(_photo(random, height, width), quality=_JPEG_QUALITY)
    mask = b""
    if frame:
        size = [height // records.MASK_STRIDE, width // records.MASK_STRIDE, 1]
        mask = tf.io.encode_png(random.integers(0, 2, size, np.uint8)).numpy()
    return records.serialize(
        key=key, encoded=image.numpy(), height=height, width=width, motion_mask=mask
    )


def _photo(
    random: np.random.Generator, height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Colored noise, uint8 [height, width, 3]."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    amplitude = 1.0 / np.maximum(frequency, 1.0 / width)
    planes = random.normal(size=(3, height, width)) * [[[1.0]], [[0.3]], [[0.3]]]
    spectrum = np.fft.rfft2(planes) * amplitude
    planes = np.fft.irfft2(spectrum, s=(height, width))
    planes = planes / planes[0].std() * 50
    # A plane of lightness and two of color.
    red, blue = planes[0] + planes[1], planes[0] + planes[2]
    green = planes[0] - (planes[1] + planes[2]) / 2
    return np.clip(np.stack([red, green, blue], -1) + 120, 0, 255).astype(np.uint8)
