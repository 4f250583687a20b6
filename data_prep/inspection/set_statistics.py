"""Statistics of a data set, from one pass over its records.

Photos are not decoded, as the records state their sizes. Masks and depth are decoded.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Generator
from typing import TYPE_CHECKING

from data_prep.inspection import shard_jobs
from data_prep.inspection.distribution import Distribution
from data_prep.inspection.shard_jobs import InspectionJob
from selfsup.common import files
from selfsup.data import records
from selfsup.data.manifest import Manifest
from selfsup.data.records import RawRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_RECORDS_PER_STEP = 64
# Bin width of the distribution of depths, in metres.
_DEPTH_BIN = 0.01


def _counter() -> collections.Counter[int]:
    return collections.Counter()


@dataclasses.dataclass
class Statistics:
    """Sums over records, which can be merged.

    Attributes:
      num_records: number of records.
      formats: number of images by format: "JPEG", "PNG" or "other".
      widths, heights: of the images, in pixels.
      image_bytes: sizes of the encoded images.
      labels: number of images by class index, `NO_LABEL` included.
      foreground, ignored: shares of the cells of each mask.
      empty_masks: number of masks without foreground.
      objects: number of boxes of each image.
      classes: number of boxes by class index.
      box_sides: square roots of the boxes' areas, in pixels.
      difficult: number of boxes marked as difficult.
      known_depth: share of each image's pixels whose depth is known.
      depths: depths of these pixels, in metres.
    """

    num_records: int = 0
    formats: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    widths: Distribution = dataclasses.field(default_factory=Distribution)
    heights: Distribution = dataclasses.field(default_factory=Distribution)
    image_bytes: Distribution = dataclasses.field(default_factory=Distribution)
    labels: collections.Counter[int] = dataclasses.field(default_factory=_counter)
    foreground: Distribution = dataclasses.field(default_factory=Distribution)
    ignored: Distribution = dataclasses.field(default_factory=Distribution)
    empty_masks: int = 0
    objects: Distribution = dataclasses.field(default_factory=Distribution)
    classes: collections.Counter[int] = dataclasses.field(default_factory=_counter)
    box_sides: Distribution = dataclasses.field(default_factory=Distribution)
    difficult: int = 0
    known_depth: Distribution = dataclasses.field(default_factory=Distribution)
    depths: Distribution = dataclasses.field(default_factory=Distribution)

    def merge(self, other: Statistics) -> None:
        """Adds the statistics of other records."""
        for field in dataclasses.fields(self):
            mine, added = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, Distribution):
                mine.merge(added)
            elif isinstance(mine, collections.Counter):
                mine.update(added)
            else:
                setattr(self, field.name, mine + added)

    def add_record(self, record: RawRecord, features: Collection[str]) -> None:
        """Adds a record.

        Args:
          record: the record.
          features: the features of the data set.

        Raises:
          ValueError: a mask or depth is not a PNG of one channel.
        """
        encoded = record["image/encoded"]
        self.num_records += 1
        self.formats[image_format(encoded)] += 1
        self.image_bytes.add(len(encoded))
        self.heights.add(record["image/height"])
        self.widths.add(record["image/width"])
        if records.LABEL in features:
            self.labels[record["image/label"]] += 1
        if records.MOTION_MASK in features:
            self._add_mask(decode_png(record["motion_mask/encoded"]))
        if records.BOXES in features:
            self._add_boxes(record)
        if records.DEPTH in features:
            self._add_depth(decode_png(record["depth/encoded"]), record["depth/unit"])

    def _add_mask(self, mask: npt.NDArray[np.uint8 | np.uint16]) -> None:
        foreground = float((mask == 1).mean())
        self.foreground.add(foreground)
        self.ignored.add(float((mask == records.MASK_IGNORE).mean()))
        self.empty_masks += foreground == 0

    def _add_boxes(self, record: RawRecord) -> None:
        edges = record["object/box"]
        self.objects.add(len(record["object/class"]))
        self.classes.update(record["object/class"])
        self.difficult += sum(record["object/difficult"])
        for top, left, bottom, right in zip(*(edges[k::4] for k in range(4))):
            area = max(0.0, bottom - top) * max(0.0, right - left)
            self.box_sides.add(area**0.5)

    def _add_depth(self, steps: npt.NDArray[np.uint8 | np.uint16], unit: float) -> None:
        import numpy as np

        known = steps[steps > 0]
        self.known_depth.add(known.size / steps.size)
        binned = np.round(known * (unit / _DEPTH_BIN)).astype(int)
        for value, count in zip(*np.unique(binned, return_counts=True)):
            self.depths.add(float(value) * _DEPTH_BIN, int(count))


def image_format(encoded: bytes) -> str:
    """ "JPEG", "PNG" or "other", from the first bytes."""
    if encoded.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "PNG" if encoded.startswith(b"\x89PNG\r\n\x1a\n") else "other"


def decode_png(encoded: bytes) -> npt.NDArray[np.uint8 | np.uint16]:
    """Decodes a PNG of one channel.

    Returns:
      [H, W], uint8 or uint16, as the file stores it.

    Raises:
      ValueError: the bytes are not a PNG, or have several channels.
    """
    import cv2
    import numpy as np

    image = None
    if encoded:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2:
        raise ValueError("is not a PNG of one channel")
    return np.asarray(image, np.uint16 if image.dtype == np.uint16 else np.uint8)


@dataclasses.dataclass(frozen=True)
class ShardStatistics:
    """The `work` of a pool: reads a shard and returns its statistics.

    Attributes:
      features: the features of the data set.
    """

    features: tuple[str, ...]

    def __call__(
        self, job: InspectionJob
    ) -> Generator[int, None, tuple[Statistics, str]]:
        """Reads a shard up to its first damage.

        Yields:
          the number of records read so far.

        Returns:
          (the statistics, what is damaged or "").
        """
        import tensorflow as tf

        statistics = Statistics()
        dataset = tf.data.TFRecordDataset(files.native_path(job.path))
        try:
            for serialized in dataset.take(job.num_records):
                record = records.read_raw(serialized.numpy())
                statistics.add_record(record, self.features)
                if statistics.num_records % _RECORDS_PER_STEP == 0:
                    yield statistics.num_records
        except (tf.errors.OpError, ValueError) as error:
            reason = shard_jobs.describe_error(error)
            return statistics, f"record {statistics.num_records}: {reason}"
        return statistics, ""


def collect(
    manifest: Manifest, max_records: int = 0, workers: int = 0
) -> tuple[dict[str, Statistics], list[str]]:
    """Collects the statistics of a data set.

    Args:
      manifest: the data set.
      max_records: largest number of records of each split to read, evenly from the
        beginnings of its shards; 0 for all.
      workers: number of processes; 0 starts one for each CPU.

    Returns:
      (statistics by split, texts that name the damaged shards).
    """
    jobs = shard_jobs.make_jobs(manifest, _choose_counts(manifest, max_records))
    jobs = collections.deque(job for job in jobs if job.num_records)
    by_split = {shard.split: Statistics() for shard in manifest.shards}
    problems: list[str] = []
    work = ShardStatistics(manifest.features)
    for job, result in shard_jobs.run_shards(work, jobs, workers):
        problem = result if isinstance(result, str) else result[1]
        if problem:
            problems.append(f"{job.path}: {problem}")
        if not isinstance(result, str):
            by_split[job.shard.split].merge(result[0])
    return by_split, sorted(problems)


def _choose_counts(manifest: Manifest, max_records: int) -> list[int]:
    """Returns the number of records to read from each shard; 0 for `max_records` is all."""
    counts = [shard.records for shard in manifest.shards]
    if not max_records:
        return counts
    for split in {shard.split for shard in manifest.shards}:
        indices = [i for i, shard in enumerate(manifest.shards) if shard.split == split]
        left = max_records
        # From the smallest shard on, so that larger shards make up for smaller ones.
        indices.sort(key=lambda i: counts[i])
        for position, i in enumerate(indices):
            counts[i] = min(counts[i], left // (len(indices) - position))
            left -= counts[i]
    return counts
