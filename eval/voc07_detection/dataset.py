"""The built set that the detector is trained and tested on."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from eval import whole_split
from selfsup.data import manifest, pipeline, records
from selfsup.errors import UserError

TEST = "test"
_TRAINVAL = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A set with boxes.

    Attributes:
      directory: of the set.
      classes: names, by class index.
      trainval: `pipeline.Source` of VOC's trainval: all of train and validation.
      test: `pipeline.Source` of the test split.
      max_objects: most objects that count for training in an image.
      counts: dict of ints for metrics.json.
    """

    directory: str
    classes: tuple
    trainval: Any
    test: Any
    max_objects: int
    counts: dict

    def description(self):
        """dict of JSON types for metrics.json."""
        return {
            "set": self.directory,
            "kind": manifest.OBJECTS,
            "trained_on": list(_TRAINVAL),
            "tested_on": TEST,
            "classes": list(self.classes),
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
    trainval, test = _trainval(one), pipeline.Source([one], TEST)
    max_objects, counts = _count(trainval, len(one.labels))
    if not max_objects:
        raise UserError(
            f"{one.directory}: no image of {' and '.join(_TRAINVAL)} has an object "
            "that is not difficult: nothing to train on"
        )
    counts = {**counts, "test_images": test.records}
    return Dataset(one.directory, one.labels, trainval, test, max_objects, counts)


def _trainval(one):
    """A `Source` of both splits, as if they were one."""
    name = "trainval"
    shards = tuple(
        dataclasses.replace(shard, split=name)
        for split in _TRAINVAL
        for shard in one.split(split)
    )
    return pipeline.Source([dataclasses.replace(one, shards=shards)], name)


def _count(source, classes):
    """(most objects of an image, counts for metrics.json), difficult ones left out."""
    numbers = []
    parsed = whole_split.serialized_records(source).map(
        lambda one: usable(records.parse(one, (records.BOXES,))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    with whole_split.damage_explained(source):
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
