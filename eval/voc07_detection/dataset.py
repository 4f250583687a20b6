"""The built set that the detector is trained and tested on."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from eval import complete_pass
from eval.json_types import JsonObject
from selfsup.common.errors import SettingError, UserError
from selfsup.data import manifest, pipeline, records

TEST = "test"
_TRAINVAL = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A set of images with boxes.

    Attributes:
      directory: folder of the set.
      classes: class names by label.
      trainval: shards of VOC's trainval, which is all of train and validation.
      test: shards of the test split.
      max_objects: largest number of objects of a training image, without difficult ones.
      checksum: checksum of the classes and the shards.
      counts: numbers of images and objects for metrics.json.
    """

    directory: str
    classes: tuple[str, ...]
    trainval: pipeline.DatasetSplit
    test: pipeline.DatasetSplit
    max_objects: int
    checksum: str
    counts: dict[str, int]

    def description(self) -> JsonObject:
        """Describes the set for metrics.json."""
        return {
            "set": self.directory,
            "kind": manifest.OBJECTS,
            "trained_on": list(_TRAINVAL),
            "tested_on": TEST,
            "classes": list(self.classes),
            "checksum": self.checksum,
            **self.counts,
        }


def find(folder: str) -> Dataset:
    """Finds the set with boxes at or below a folder.

    Args:
      folder: the folder.

    Raises:
      UserError: when there is not exactly one such set, a split or its boxes are missing,
        no training image has an object that is not difficult, or a shard is damaged.
    """
    built_sets = manifest.find(folder)
    with_boxes = [built for built in built_sets if built.kind == manifest.OBJECTS]
    if len(with_boxes) != 1:
        descriptions = ", ".join(
            f"{built.directory} ({built.kind})" for built in built_sets
        )
        raise SettingError(
            f"data={folder}",
            "expected one set with boxes (built by python -m data_prep.voc07) there or "
            f"below, found {len(with_boxes)}; sets: {descriptions}",
        )
    return _open(with_boxes[0])


def _open(built: manifest.Manifest) -> Dataset:
    _check_manifest(built)
    trainval, test = _trainval(built), pipeline.DatasetSplit([built], TEST)
    max_objects, counts = _count(trainval, len(built.labels))
    if not max_objects:
        raise UserError(
            f"{built.directory}: no image of {' and '.join(_TRAINVAL)} has an object "
            "that is not difficult, so there is nothing to train on"
        )
    _check_ids(test)
    return Dataset(
        directory=built.directory,
        classes=built.labels,
        trainval=trainval,
        test=test,
        max_objects=max_objects,
        checksum=manifest.fingerprint([built], (*_TRAINVAL, TEST)),
        counts={**counts, "test_images": test.records},
    )


def _check_manifest(built: manifest.Manifest) -> None:
    if not built.labels:
        raise UserError(f"{built.directory}: its manifest names no classes")
    for label in built.labels:
        if "/" in label:
            raise UserError(
                f"{built.directory}: the class {label!r} has a slash in its name, but "
                "result files are named after classes"
            )
    without_boxes = built.options.get("splits_without_annotations", ())
    if TEST in without_boxes or not built.records(TEST):
        raise UserError(
            f"{built.directory}: has no test split with boxes. Build the set from a "
            "devkit with test annotations"
        )
    if not any(built.records(split) for split in _TRAINVAL):
        raise UserError(
            f"{built.directory}: has neither a train nor a validation split to train on"
        )


def image_id(key: bytes) -> str:
    """The id in VOC's lists of a record's key: "VOC2007/000005" -> "000005"."""
    return key.decode().rpartition("/")[2]


def _check_ids(test: pipeline.DatasetSplit) -> None:
    """Raises a `UserError` for an image id that result files cannot hold."""
    keys = complete_pass.serialized_records(test).map(
        lambda serialized: records.parse(serialized, ())["key"],
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    seen = set()
    with complete_pass.damage_explained(test):
        for key in keys.as_numpy_iterator():
            image = image_id(key)
            if len(image.split()) != 1:
                raise UserError(
                    f"the test image {image!r} has a blank in its name, which VOC's "
                    f"result files cannot hold (in {test.files[0]} or another shard of "
                    "the split)"
                )
            if image in seen:
                raise UserError(f"two test images have the id {image!r}")
            seen.add(image)


def _trainval(built: manifest.Manifest) -> pipeline.DatasetSplit:
    """The shards of train and validation, as one split."""
    name = "trainval"
    shards = tuple(
        dataclasses.replace(shard, split=name)
        for split in _TRAINVAL
        for shard in built.split(split)
    )
    return pipeline.DatasetSplit([dataclasses.replace(built, shards=shards)], name)


def _count(source: pipeline.DatasetSplit, classes: int) -> tuple[int, dict[str, int]]:
    """Counts objects that are not difficult.

    Returns:
      (largest number of objects of an image, counts for metrics.json).
    """
    numbers = []
    parsed = complete_pass.serialized_records(source).map(
        lambda serialized: usable(records.parse(serialized, (records.BOXES,))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    with complete_pass.damage_explained(source):
        for _, labels in parsed.as_numpy_iterator():
            numbers.append(len(labels))
            if np.any((labels < 0) | (labels >= classes)):
                raise UserError(
                    f"an object (in {source.files[0]} or another shard of the split) has "
                    f"a class that is not one of the {classes} of the manifest. Build "
                    "the set again"
                )
    counts = {
        "training_images": len(numbers),
        "training_images_without_objects": numbers.count(0),
        "training_objects": sum(numbers),
    }
    return max(numbers), counts


def usable(record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """The objects of a parsed record that are not difficult.

    Args:
      record: "boxes" float32 [M, 4], "classes" int64 [M], "difficult" bool [M].

    Returns:
      (boxes float32 [N, 4], classes int64 [N]).
    """
    keep = tf.logical_not(record["difficult"])
    return (
        tf.boolean_mask(record["boxes"], keep),
        tf.boolean_mask(record["classes"], keep),
    )
