"""The built set that the detector is trained and tested on."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from eval import complete_pass
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline, records

TEST = "test"
_TRAINVAL = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A set with boxes.

    Attributes:
      directory: of the set.
      classes: names, by class index.
      trainval: `pipeline.RecordSource` of VOC's trainval: all of train and validation.
      test: `pipeline.RecordSource` of the test split.
      max_objects: most objects that count for training in an image.
      checksum: of classes and shards.
      counts: dict of ints for metrics.json.
    """

    directory: str
    classes: tuple
    trainval: Any
    test: Any
    max_objects: int
    checksum: str
    counts: dict

    def description(self):
        """dict of JSON types for metrics.json."""
        return {
            "set": self.directory,
            "kind": manifest.OBJECTS,
            "trained_on": list(_TRAINVAL),
            "tested_on": TEST,
            "classes": list(self.classes),
            "checksum": self.checksum,
            **self.counts,
        }


def find(folder):
    """The one set with boxes at or below `folder`.

    Raises:
      UserError: when there is none or there are several, when a split or the boxes of
        one are missing, when no training image has an object that counts, or a shard
        is damaged.
    """
    found = manifest.find(folder)
    sets = [one for one in found if one.kind == manifest.OBJECTS]
    if len(sets) != 1:
        have = ", ".join(f"{one.directory} ({one.kind})" for one in found)
        raise UserError(
            f"--data={folder}: expected one set with boxes (built by python -m "
            f"data_prep.voc07) there or below, found {len(sets)}; sets: {have}"
        )
    return _of(sets[0])


def _of(one):
    if not one.labels:
        raise UserError(f"{one.directory}: its manifest names no classes")
    for label in one.labels:
        if "/" in label:
            raise UserError(
                f"{one.directory}: the class {label!r} has a slash in its name: result "
                "files are named after classes"
            )
    bare = one.options.get("splits_without_annotations", ())
    if TEST in bare or not one.records(TEST):
        raise UserError(
            f"{one.directory}: has no test split with boxes to test on: build it from a "
            "devkit with test annotations"
        )
    if not any(one.records(split) for split in _TRAINVAL):
        raise UserError(
            f"{one.directory}: has neither a train nor a validation split to train on"
        )
    trainval, test = _trainval(one), pipeline.DatasetSplit([one], TEST)
    max_objects, counts = _count(trainval, len(one.labels))
    if not max_objects:
        raise UserError(
            f"{one.directory}: no image of {' and '.join(_TRAINVAL)} has an object "
            "that is not difficult: nothing to train on"
        )
    _check_ids(test)
    return Dataset(
        directory=one.directory,
        classes=one.labels,
        trainval=trainval,
        test=test,
        max_objects=max_objects,
        checksum=manifest.fingerprint([one], (*_TRAINVAL, TEST)),
        counts={**counts, "test_images": test.records},
    )


def image_id(key):
    """The id in VOC's lists of a record's key: "VOC2007/000005" -> "000005"."""
    return key.decode().rpartition("/")[2]


def _check_ids(test):
    """Refuses what the result files at the end of a run could not hold."""
    keys = complete_pass.serialized_records(test).map(
        lambda one: records.parse(one, ())["key"], num_parallel_calls=tf.data.AUTOTUNE
    )
    seen = set()
    with complete_pass.damage_explained(test):
        for key in keys.as_numpy_iterator():
            image = image_id(key)
            if len(image.split()) != 1:
                raise UserError(
                    f"{test.files[0]} and its like: the test image {image!r} has a "
                    "blank in its name, which VOC's result files cannot have"
                )
            if image in seen:
                raise UserError(f"two test images have the id {image!r}")
            seen.add(image)


def _trainval(one):
    """A `Source` of both splits, as if they were one."""
    name = "trainval"
    shards = tuple(
        dataclasses.replace(shard, split=name)
        for split in _TRAINVAL
        for shard in one.split(split)
    )
    return pipeline.DatasetSplit([dataclasses.replace(one, shards=shards)], name)


def _count(source, classes):
    """(most objects of an image, counts for metrics.json), difficult ones left out."""
    numbers = []
    parsed = complete_pass.serialized_records(source).map(
        lambda one: usable(records.parse(one, (records.BOXES,))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    with complete_pass.damage_explained(source):
        for _, indices in parsed.as_numpy_iterator():
            numbers.append(len(indices))
            if np.any((indices < 0) | (indices >= classes)):
                raise UserError(
                    f"{source.files[0]} and its like: an object's class is none of the "
                    f"{classes} of the manifest; build the set anew"
                )
    counts = {
        "training_images": len(numbers),
        "training_images_without_objects": numbers.count(0),
        "training_objects": sum(numbers),
    }
    return max(numbers), counts


def usable(record):
    """(boxes float32 [N, 4], classes int64 [N]) of a parsed record, none difficult."""
    keep = tf.logical_not(record["difficult"])
    return (
        tf.boolean_mask(record["boxes"], keep),
        tf.boolean_mask(record["classes"], keep),
    )
