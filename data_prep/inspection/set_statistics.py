"""What a built set holds: statistics from one pass over its records.

Photos are not decoded: their sizes are in the records. Masks and depth are.
"""

import collections
import contextlib
import os
import re
from dataclasses import dataclass, field, fields

from data_prep.build import worker_pool
from data_prep.inspection.distribution import Distribution
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import records

_RECORDS_A_STEP = 64
_DEPTH_STEP = 0.01  # Metres, of the distribution of depths.


@dataclass
class Statistics:
    """Sums over records that can be added up.

    Attributes:
      records: how many.
      formats: counts of "JPEG", "PNG" and "other".
      widths, heights, image_bytes: of images.
      labels: counts by class index, `NO_LABEL` included.
      foreground, ignored: shares of the masks' cells.
      empty_masks: masks without foreground.
      objects: boxes an image.
      classes: boxes by class index.
      box_sides: square roots of the boxes' areas, pixels.
      difficult: boxes marked so.
      depth_valid: shares of the pixels whose depth is known.
      depths: metres.
    """

    records: int = 0
    formats: collections.Counter = field(default_factory=collections.Counter)
    widths: Distribution = field(default_factory=Distribution)
    heights: Distribution = field(default_factory=Distribution)
    image_bytes: Distribution = field(default_factory=Distribution)
    labels: collections.Counter = field(default_factory=collections.Counter)
    foreground: Distribution = field(default_factory=Distribution)
    ignored: Distribution = field(default_factory=Distribution)
    empty_masks: int = 0
    objects: Distribution = field(default_factory=Distribution)
    classes: collections.Counter = field(default_factory=collections.Counter)
    box_sides: Distribution = field(default_factory=Distribution)
    difficult: int = 0
    depth_valid: Distribution = field(default_factory=Distribution)
    depths: Distribution = field(default_factory=Distribution)

    def merge(self, other):
        """Adds those of other records."""
        for name in (one.name for one in fields(self)):
            mine, its = getattr(self, name), getattr(other, name)
            if isinstance(mine, Distribution):
                mine.merge(its)
            elif isinstance(mine, collections.Counter):
                mine.update(its)
            else:
                setattr(self, name, mine + its)


def words(error):
    """What an error says, without the names of TensorFlow's graph."""
    return getattr(error, "message", str(error)).split("}} ")[-1].split(" [Op:")[0]


def add_record(statistics, values, features):
    """Takes one record in.

    Args:
      statistics: a `Statistics`.
      values: a `records.RawRecord`.
      features: the set's.
    """
    encoded = values["image/encoded"]
    statistics.records += 1
    statistics.formats[image_format(encoded)] += 1
    statistics.image_bytes.add(len(encoded))
    statistics.heights.add(values["image/height"])
    statistics.widths.add(values["image/width"])
    if records.LABEL in features:
        statistics.labels[values["image/label"]] += 1
    if records.MOTION_MASK in features:
        _add_mask(statistics, decode_png(values["motion_mask/encoded"]))
    if records.BOXES in features:
        _add_boxes(statistics, values)
    if records.DEPTH in features:
        _add_depth(
            statistics, decode_png(values["depth/encoded"]), values["depth/unit"]
        )


def image_format(encoded):
    """ "JPEG", "PNG" or "other", by the first bytes."""
    if encoded.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "PNG" if encoded.startswith(b"\x89PNG\r\n\x1a\n") else "other"


def decode_png(encoded):
    """A PNG of one channel, [H, W] of uint8 or uint16; ValueError for what is none."""
    import cv2
    import numpy as np

    image = None
    if encoded:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2:
        raise ValueError("no PNG of one channel")
    return image


def _add_mask(statistics, mask):
    foreground = float((mask == 1).mean())
    statistics.foreground.add(foreground)
    statistics.ignored.add(float((mask == records.MASK_IGNORE).mean()))
    statistics.empty_masks += foreground == 0


def _add_boxes(statistics, values):
    edges = values["object/box"]
    statistics.objects.add(len(values["object/class"]))
    statistics.classes.update(values["object/class"])
    statistics.difficult += sum(values["object/difficult"])
    for top, left, bottom, right in zip(*(edges[k::4] for k in range(4))):
        area = max(0.0, bottom - top) * max(0.0, right - left)
        statistics.box_sides.add(area**0.5)


def _add_depth(statistics, steps, unit):
    import numpy as np

    known = steps[steps > 0]
    statistics.depth_valid.add(known.size / steps.size)
    binned = np.round(known * (unit / _DEPTH_STEP)).astype(int)
    for value, count in zip(*np.unique(binned, return_counts=True)):
        statistics.depths.add(float(value) * _DEPTH_STEP, int(count))


class ShardStatistics:
    """The `work` of a pool: statistics of the shard of a job (index, path, records)."""

    def __init__(self, features):
        self._features = features

    def __call__(self, job):
        import tensorflow as tf

        _, path, limit = job
        statistics = Statistics()
        try:
            for serialized in tf.data.TFRecordDataset(files.native_path(path)).take(
                limit
            ):
                add_record(
                    statistics, records.read_raw(serialized.numpy()), self._features
                )
                if statistics.records % _RECORDS_A_STEP == 0:
                    yield statistics.records
        except (tf.errors.OpError, ValueError) as error:
            reason = words(error)
            return statistics, f"{path}: record {statistics.records}: {reason}"
        return statistics, ""


def collect(manifest, max_records=0, workers=0):
    """Statistics of a built set by split.

    Args:
      manifest: the set's `Manifest`.
      max_records: of each split, evenly from the beginnings of its shards; 0 for all.
      workers: processes; 0 takes one for each CPU.

    Returns:
      (dict of `Statistics` by split, list of texts that say which shards are damaged).
    """
    jobs = collections.deque(
        (index, os.path.join(manifest.directory, shard.file), limit)
        for index, (shard, limit) in enumerate(_limits(manifest, max_records))
        if limit
    )
    found = {shard.split: Statistics() for shard in manifest.shards}
    problems = []
    total = sum(limit for _, _, limit in jobs)
    for (index, path, _), value in run_shards(
        ShardStatistics(manifest.features), jobs, workers, total
    ):
        if isinstance(value, str):
            problems.append(f"{path}: {value}")
            continue
        statistics, problem = value
        found[manifest.shards[index].split].merge(statistics)
        problems += [problem] if problem else []
    return found, sorted(problems)


def _limits(manifest, max_records):
    """(shard, how many of its records to look at) of all shards."""
    for shard in manifest.shards:
        limit = shard.records
        if max_records:
            shards = [one for one in manifest.split(shard.split) if one.records]
            limit = min(limit, -(-max_records // max(1, len(shards))))
        yield shard, limit


def run_shards(work, jobs, workers, total):
    """Runs a job for each shard in processes, with a progress display over records.

    Args:
      work: as of `worker_pool.run`; its steps are the records done in the shard.
      jobs: deque of tuples whose first element tells them apart and whose last one is
        the number of records.
      workers: processes; 0 takes one for each CPU.
      total: records in all.

    Yields:
      (job, result) as they come; the result is a str where a record ended the process.
    """
    done = {}
    workers = workers or worker_pool.available_cpus()
    events = worker_pool.run(work, jobs, min(workers, max(1, len(jobs))))
    with contextlib.closing(events), ProgressBar("records", total) as progress:
        for event in events:
            if event.job is None:
                continue
            if isinstance(event, worker_pool.StepReport):
                done[event.job[0]] = event.value
            else:
                done[event.job[0]] = event.job[-1]
                yield event.job, _result(event)
            progress.update(sum(done.values()))


def _result(event):
    if isinstance(event, worker_pool.JobResult):
        return event.value
    how = worker_pool.describe_exit(event.exitcode)
    return f"the process that read it {how}"


def read_set_aside(manifest, name):
    """Reasons in a set's list of inputs, grouped: [(reason, count, an input), ...].

    Args:
      manifest: the set's `Manifest`.
      name: of the file in its folder, lines of input and reason; none is no inputs.
    """
    path = os.path.join(manifest.directory, name)
    counts, examples = collections.Counter(), {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, reason = line.rstrip("\n").partition("\t")
                reason = _kind_of(reason)
                counts[reason] += 1
                examples.setdefault(reason, key)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return [(reason, count, examples[reason]) for reason, count in counts.most_common()]


def _kind_of(reason):
    """A reason without the numbers and names of the one input, cut to a line."""
    reason = re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "N", reason)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S+", "...", reason)[:100]
