"""Checks every shard of a data set, and every record in it, against the manifest."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Generator, Iterator
from typing import TYPE_CHECKING

from data_prep.inspection import shard_jobs
from data_prep.inspection.shard_jobs import InspectionJob
from selfsup.common import files
from selfsup.common.errors import error_reason
from selfsup.data import records
from selfsup.data.manifest import Manifest, Shard

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_RECORDS_PER_STEP = 16
# Number of damaged records of a shard that are described; the others are counted.
_MAX_DESCRIBED = 5


@dataclasses.dataclass(frozen=True)
class ShardCheck:
    """The `work` of a pool: reads a shard and returns texts about its problems.

    Attributes:
      features: the features of the data set.
      num_classes: number of its classes.
    """

    features: tuple[str, ...]
    num_classes: int

    def __call__(self, job: InspectionJob) -> Generator[int, None, list[str]]:
        problems = file_problems(job.path, job.shard)
        if not os.path.isfile(job.path):
            return problems
        num_bad = 0
        for number, problem in enumerate(self._record_problems(job)):
            if problem:
                num_bad += 1
                if num_bad <= _MAX_DESCRIBED:
                    problems.append(problem)
            if number % _RECORDS_PER_STEP == 0:
                yield number
        if num_bad > _MAX_DESCRIBED:
            problems.append(f"{num_bad - _MAX_DESCRIBED} more problems")
        return problems

    def _record_problems(self, job: InspectionJob) -> Iterator[str]:
        """Yields a text for each record and for the end; "" if there is no problem."""
        import tensorflow as tf

        stream = iter(tf.data.TFRecordDataset(files.native_path(job.path)))
        number = 0
        while True:
            try:
                serialized = next(stream).numpy()
            except StopIteration:
                break
            except tf.errors.OpError as error:
                reason = shard_jobs.describe_error(error)
                yield f"record {number} cannot be read: {reason}"
                break
            problem = record_problem(serialized, self.features, self.num_classes)
            yield f"record {number}: {problem}" if problem else ""
            number += 1
        if number != job.shard.records:
            yield f"{number} of {job.shard.records} records can be read"


def file_problems(path: str, shard: Shard) -> list[str]:
    """Compares the size and the checksum of a file with the manifest.

    Returns:
      texts about what differs.
    """
    try:
        size = os.path.getsize(path)
        digest = files.sha256(path)
    except OSError as error:
        return [f"cannot be read: {error_reason(error)}"]
    problems = []
    if size != shard.bytes:
        problems.append(f"has {size} bytes; its manifest says {shard.bytes}")
    if digest != shard.sha256:
        problems.append(f"its SHA-256 is {digest[:12]}..., not {shard.sha256[:12]}...")
    return problems


def record_problem(
    serialized: bytes, features: Collection[str], num_classes: int
) -> str:
    """Decodes a record as training does, and checks what it holds.

    Args:
      serialized: the record.
      features: the features of the data set.
      num_classes: number of its classes.

    Returns:
      what is wrong; "" if there is no problem.
    """
    import tensorflow as tf

    try:
        record = records.read_raw(serialized)
    except ValueError as error:
        return str(error)
    key = files.printable(os.fsdecode(record["image/key"]))
    try:
        decoded = {
            name: tensor.numpy()
            for name, tensor in records.parse(serialized, features).items()
        }
    except tf.errors.OpError as error:
        return f"{key}: {shard_jobs.describe_error(error)}"
    size = record["image/height"], record["image/width"]
    problems = []
    if records.IMAGE in features:
        problems.append(_image_problem(decoded["image"], size))
    if records.LABEL in features:
        problems.append(_label_problem(record["image/label"], num_classes))
    if records.MOTION_MASK in features:
        problems.append(_mask_problem(decoded["motion_mask"], size))
    if records.SECOND_FRAME in features:
        problems.append(_second_frame_problem(decoded["second_frame"], record))
    problems.append(_boxes_problem(record, size, num_classes))
    if records.DEPTH in features:
        problems.append(_depth_problem(decoded["depth"], record["depth/unit"], size))
    texts = [text for text in problems if text]
    return f"{key}: {'; '.join(texts)}" if texts else ""


def _image_problem(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Checks an image [H, W, 3]."""
    if image.shape[:2] != size:
        return f"image is {image.shape[:2]}, its record says {size}"
    return ""


def _label_problem(label: int, num_classes: int) -> str:
    if not records.NO_LABEL <= label < num_classes:
        return f"label {label} is none of the {num_classes} classes"
    return ""


def _mask_problem(mask: npt.NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Checks a mask [H / 8, W / 8, 1] of an image of `size` (H, W)."""
    expected = tuple(side // records.MASK_STRIDE for side in size)
    if mask.shape[:2] != expected:
        return f"mask is {mask.shape[:2]}, expected {expected}"
    wrong = set(mask.ravel().tolist()) - {0, 1, records.MASK_IGNORE}
    return f"mask has the value {min(wrong)}" if wrong else ""


def _second_frame_problem(
    image: npt.NDArray[np.uint8], record: records.RawRecord
) -> str:
    """Checks the second frame [H, W, 3] of a pair."""
    size = record["image/height"], record["image/width"]
    if image.shape[:2] != size:
        return f"second frame is {image.shape[:2]}, image is {size}"
    first, second = record["video/frame"], record["video/second_frame"]
    if second <= first:
        return f"second frame has index {second}, first has {first}"
    return ""


def _boxes_problem(
    record: records.RawRecord, size: tuple[int, int], num_classes: int
) -> str:
    edges, classes = record["object/box"], record["object/class"]
    difficult = record["object/difficult"]
    if len(edges) != 4 * len(classes) or len(difficult) != len(classes):
        return (
            f"{len(edges)} box edges, {len(classes)} classes, {len(difficult)} "
            "difficult"
        )
    boxes = zip(*(edges[k::4] for k in range(4)))
    for number, (top, left, bottom, right) in enumerate(boxes):
        if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]):
            return f"box {number} {(top, left, bottom, right)} is not in image {size}"
        if not 0 <= classes[number] < num_classes:
            return f"box {number} has class {classes[number]} of {num_classes}"
        if difficult[number] not in (0, 1):
            return f"box {number} is difficult: {difficult[number]}"
    return ""


def _depth_problem(
    depth: npt.NDArray[np.float32], unit: float, size: tuple[int, int]
) -> str:
    """Checks depth [H, W, 1] of an image of `size` (H, W)."""
    if depth.shape[:2] != size:
        return f"depth is {depth.shape[:2]}, image is {size}"
    return "" if 0 < unit < float("inf") else f"a step of depth is {unit} metres"


def verify(manifest: Manifest, workers: int = 0) -> dict[str, list[str]]:
    """Checks all shards of a data set.

    Args:
      manifest: the data set.
      workers: number of processes; 0 starts one for each CPU.

    Returns:
      texts about the problems by shard file, for shards with problems.
    """
    jobs = shard_jobs.make_jobs(manifest, [shard.records for shard in manifest.shards])
    work = ShardCheck(manifest.features, len(manifest.labels))
    by_file: dict[str, list[str]] = {}
    for job, result in shard_jobs.run_shards(work, jobs, workers):
        problems = [result] if isinstance(result, str) else result
        if problems:
            by_file[job.shard.file] = problems
    return dict(sorted(by_file.items()))
