"""The labelled photos: the data set, its splits, and the numbers of its labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass
from eval.imagenet_linear.held_out import is_held_out
from eval.json_types import JsonObject
from selfsup.common.errors import SettingError, UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import manifest, pipeline, records

TRAIN = "train"
_TEST_SPLITS = ("validation", "test")
_SCAN_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class LabelledPhotos:
    """A labelled set of photos, for training and testing.

    Attributes:
      directory: folder of the set.
      classes: class names by label.
      train, test: shards of the training and the test split.
      test_split: name of the test split.
      checksum: checksum of the shards of both splits.
    """

    directory: str
    classes: tuple[str, ...]
    train: pipeline.DatasetSplit
    test: pipeline.DatasetSplit
    test_split: str
    checksum: str

    def description(self) -> JsonObject:
        """Describes the set for metrics.json."""
        return {
            "set": self.directory,
            "kind": manifest.PHOTOS,
            "classes": len(self.classes),
            "train": {"split": TRAIN, "records": self.train.records},
            "test": {"split": self.test_split, "records": self.test.records},
            "checksum": self.checksum,
        }


def find(data: str) -> LabelledPhotos:
    """Finds the labelled set of photos at or below a folder.

    Args:
      data: the folder.

    Raises:
      UserError: when there is not exactly one labelled set of photos, or the set lacks a
        split or has fewer than two classes.
    """
    built_sets = manifest.find(data)
    labelled = [
        built
        for built in built_sets
        if built.kind == manifest.PHOTOS
        and records.LABEL in built.features
        and built.labels
    ]
    if len(labelled) != 1:
        descriptions = ", ".join(
            f"{built.directory} ({built.kind}, {len(built.labels)} classes)"
            for built in built_sets
        )
        raise SettingError(
            f"data={data}",
            "expected one labelled set of photos (built by python -m data_prep.imagenet "
            "or python -m data_prep.photos --labels=folders), but found "
            f"{len(labelled)} among: {descriptions}",
        )
    return _open(labelled[0])


def _open(built: manifest.Manifest) -> LabelledPhotos:
    if len(built.labels) < 2:
        raise UserError(
            f"{built.directory}: has only the class {built.labels[0]!r}; classification "
            "needs at least two classes"
        )
    splits = [name for name in _TEST_SPLITS if built.records(name)]
    if not splits or not built.records(TRAIN):
        counts = {name: built.records(name) for name in (TRAIN, *_TEST_SPLITS)}
        raise UserError(
            f"{built.directory}: expected photos in the split {TRAIN} and in "
            f"{' or '.join(_TEST_SPLITS)}; it has {counts}"
        )
    return LabelledPhotos(
        directory=built.directory,
        classes=tuple(built.labels),
        train=pipeline.DatasetSplit([built], TRAIN),
        test=pipeline.DatasetSplit([built], splits[0]),
        test_split=splits[0],
        checksum=manifest.fingerprint([built], (TRAIN, splits[0])),
    )


@dataclasses.dataclass(frozen=True)
class LabelCounts:
    """Number of photos of each class, int64 [classes] each.

    Attributes:
      trained: photos of the training split that are not held out.
      held_out: photos of the training split that choose the learning rate.
      tested: photos of the test split.
    """

    trained: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.int64]
    tested: npt.NDArray[np.int64]


def count_labels(photos: LabelledPhotos, held_out_share: float) -> LabelCounts:
    """Reads every record of both splits once, without decoding the photos.

    Args:
      photos: the labelled photos.
      held_out_share: share of the training photos to hold out, see
        `held_out.is_held_out`.

    Raises:
      UserError: for a damaged shard, a photo without a label, a class that is tested but
        not trained, training photos of a single class, or a share above 0 that holds no
        photo out.
    """
    trained, held_out = _count(photos, photos.train, TRAIN, held_out_share)
    tested, _ = _count(photos, photos.test, photos.test_split, 0.0)
    _check_trained(photos, trained, held_out, tested)
    if held_out_share and not np.any(held_out):
        raise UserError(
            f"{photos.directory}: none of the {photos.train.records} training photos is "
            f"held out at held_out_share={held_out_share:g}, so the learning rate cannot "
            "be chosen. Use a larger set=held_out_share, or a single learning rate "
            "(set=learning_rates=[...]) with set=held_out_share=0"
        )
    return LabelCounts(trained, held_out, tested)


def _check_trained(
    photos: LabelledPhotos,
    trained: npt.NDArray[np.int64],
    held_out: npt.NDArray[np.int64],
    tested: npt.NDArray[np.int64],
) -> None:
    names = np.array(photos.classes)
    untrained = names[tested * (trained == 0) > 0]
    if len(untrained):
        all_held_out = names[tested * (trained == 0) * held_out > 0]
        advice = (
            f" (all photos of {', '.join(all_held_out[:5])} are held out: use a lower "
            "set=held_out_share, or more photos)"
            if len(all_held_out)
            else ""
        )
        raise UserError(
            f"{photos.directory}: the classes of {TRAIN} and {photos.test_split} do not "
            f"match: {len(untrained)} are tested and have no training photo: "
            f"{', '.join(untrained[:5])}{advice}"
        )
    if np.count_nonzero(trained) < 2:
        raise UserError(f"{photos.directory}: all training photos are of one class")


def _count(
    photos: LabelledPhotos,
    source: pipeline.DatasetSplit,
    split: str,
    held_out_share: float,
) -> npt.NDArray[np.int64]:
    """Photos of each class, int64 [2, classes]: not held out, held out."""
    spec = records.feature_spec((records.LABEL,))

    def read(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values = tf.io.parse_example(batch, spec)
        return values["image/label"], is_held_out(values["image/key"], held_out_share)

    classes, place = len(photos.classes), f"{photos.directory}, split {split}"
    stream = complete_pass.serialized_records(source).batch(_SCAN_BATCH).map(read)
    counts, done = np.zeros([2, classes], np.int64), 0
    with (
        complete_pass.damage_explained(source),
        ProgressBar("labels", source.records) as bar,
    ):
        for labels, held_out in stream.prefetch(1).as_numpy_iterator():
            _check_range(labels, classes, place)
            np.add.at(counts, (held_out.astype(int), labels), 1)
            done += len(labels)
            bar.update(done)
    return counts


def _check_range(labels: npt.NDArray[np.int64], classes: int, place: str) -> None:
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise UserError(
            f"{place}: at least {len(wrong)} photos have a label out of range, such as "
            f"{wrong[0]}; expected 0 to {classes - 1}. Build the set with a class folder "
            "for every photo"
        )
