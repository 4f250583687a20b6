"""Checks every shard of a built set, and every record in it, against the manifest."""

import collections
import dataclasses
import os

from data_prep.inspection import set_statistics
from selfsup.common import files
from selfsup.data import records

_RECORDS_A_STEP = 16
# Of one shard; beyond it only their number is told.
_TOLD = 5


@dataclasses.dataclass(frozen=True)
class ShardCheck:
    """The `work` of a pool: the problems of the shard of a job.

    A job is (index, path, `manifest.Shard`, number of records).
    """

    features: tuple
    classes: int

    def __call__(self, job):
        _, path, shard, _ = job
        problems = file_problems(path, shard)
        if not os.path.isfile(path):
            return problems
        found = 0
        for number, problem in enumerate(self._record_problems(path, shard)):
            if problem:
                found += 1
                if found <= _TOLD:
                    problems.append(problem)
            if number % _RECORDS_A_STEP == 0:
                yield number
        if found > _TOLD:
            problems.append(f"{found - _TOLD} problems more")
        return problems

    def _record_problems(self, path, shard):
        """A text, "" when all is well, for each record and for the end of the shard."""
        import tensorflow as tf

        stream = iter(tf.data.TFRecordDataset(files.native_path(path)))
        number = 0
        while True:
            try:
                serialized = next(stream).numpy()
            except StopIteration:
                break
            except tf.errors.OpError as error:
                yield f"record {number} cannot be read: {set_statistics.words(error)}"
                break
            problem = record_problem(serialized, self.features, self.classes)
            yield f"record {number}: {problem}" if problem else ""
            number += 1
        if number != shard.records:
            yield f"{number} of {shard.records} records can be read"


def file_problems(path, shard):
    """What is wrong with a shard's file as a whole: list of texts.

    Args:
      path: of the file.
      shard: its `manifest.Shard`.
    """
    try:
        size = os.path.getsize(path)
        digest = files.sha256(path)
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]
    problems = []
    if size != shard.bytes:
        problems.append(f"has {size} bytes, its manifest says {shard.bytes}")
    if digest != shard.sha256:
        problems.append(f"its SHA-256 is {digest[:12]}..., not {shard.sha256[:12]}...")
    return problems


def record_problem(serialized, features, classes):
    """What is wrong with a record: a text, "" when all is well.

    Args:
      serialized: bytes.
      features: the set's; each is decoded as in training.
      classes: number of the manifest's labels.
    """
    import tensorflow as tf

    try:
        values = records.read_raw(serialized)
    except ValueError as error:
        return str(error)
    key = files.printable(os.fsdecode(values["image/key"]))
    try:
        decoded = {
            name: tensor.numpy()
            for name, tensor in records.parse(serialized, features).items()
        }
        size = values["image/height"], values["image/width"]
        checks = (
            _image_problem(decoded, size),
            _label_problem(values, features, classes),
            _mask_problem(decoded, size),
            _boxes_problem(values, size, classes),
            _depth_problem(values, decoded, size),
        )
    except tf.errors.OpError as error:
        return f"{key}: {set_statistics.words(error)}"
    texts = [text for text in checks if text]
    return f"{key}: {'; '.join(texts)}" if texts else ""


def _image_problem(decoded, size):
    if "image" in decoded and decoded["image"].shape[:2] != size:
        return f"image is {decoded['image'].shape[:2]}, its record says {size}"
    return ""


def _label_problem(values, features, classes):
    label = values["image/label"]
    if records.LABEL in features and not records.NO_LABEL <= label < classes:
        return f"label {label} is none of the {classes} classes"
    return ""


def _mask_problem(decoded, size):
    if "motion_mask" not in decoded:
        return ""
    mask = decoded["motion_mask"]
    expected = tuple(side // records.MASK_STRIDE for side in size)
    if mask.shape[:2] != expected:
        return f"mask is {mask.shape[:2]}, expected {expected}"
    wrong = set(mask.ravel().tolist()) - {0, 1, records.MASK_IGNORE}
    return f"mask has the value {min(wrong)}" if wrong else ""


def _boxes_problem(values, size, classes):
    edges, names = values["object/box"], values["object/class"]
    difficult = values["object/difficult"]
    if len(edges) != 4 * len(names) or len(difficult) != len(names):
        return (
            f"{len(edges)} box edges, {len(names)} classes, {len(difficult)} difficult"
        )
    boxes = zip(*(edges[k::4] for k in range(4)))
    for number, (top, left, bottom, right) in enumerate(boxes):
        if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]):
            return f"box {number} {(top, left, bottom, right)} is not in image {size}"
        if not 0 <= names[number] < classes:
            return f"box {number} has class {names[number]} of {classes}"
        if difficult[number] not in (0, 1):
            return f"box {number} is difficult: {difficult[number]}"
    return ""


def _depth_problem(values, decoded, size):
    if "depth" not in decoded:
        return ""
    if decoded["depth"].shape[:2] != size:
        return f"depth is {decoded['depth'].shape[:2]}, image is {size}"
    unit = values["depth/unit"]
    return "" if 0 < unit < float("inf") else f"a step of depth is {unit} metres"


def verify(manifest, workers=0):
    """Checks all shards of a built set.

    Args:
      manifest: the set's `Manifest`.
      workers: processes; 0 takes one for each CPU.

    Returns:
      dict of lists of texts by shard file, for the shards that something is wrong with.
    """
    jobs = collections.deque(
        (index, os.path.join(manifest.directory, shard.file), shard, shard.records)
        for index, shard in enumerate(manifest.shards)
    )
    work = ShardCheck(tuple(manifest.features), len(manifest.labels))
    total = sum(shard.records for shard in manifest.shards)
    found = {}
    for (_, _, shard, _), value in set_statistics.run_shards(
        work, jobs, workers, total
    ):
        problems = [value] if isinstance(value, str) else value
        if problems:
            found[shard.file] = problems
    return dict(sorted(found.items()))
