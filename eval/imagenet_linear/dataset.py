"""The labelled photos: which set, its splits and labels, and streams of them."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from eval import whole_split
from selfsup.data import manifest, pipeline, records
from selfsup.errors import UserError
from selfsup.images import inception_augmentation
from selfsup.progress import Progress

TRAIN = "train"
_TEST_SPLITS = ("validation", "test")
_SCAN_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class LabelledPhotos:
    """A labelled set of photos, for training and testing.

    Attributes:
      directory: of the set.
      classes: names by label.
      train, test: `pipeline.Source`s.
      test_split: the name of the split that `test` is.
      checksum: of the shards of both.
    """

    directory: str
    classes: tuple
    train: Any
    test: Any
    test_split: str
    checksum: str

    def description(self):
        """Dict of JSON types for metrics.json."""
        return {
            "set": self.directory,
            "kind": manifest.PHOTOS,
            "classes": len(self.classes),
            "train": {"split": TRAIN, "records": self.train.records},
            "test": {"split": self.test_split, "records": self.test.records},
            "checksum": self.checksum,
        }


def find(data):
    """The labelled photos at or below the folder `data`: `LabelledPhotos`.

    Raises:
      UserError: without exactly one labelled set of photos, or when it lacks a split or
        has but one class.
    """
    found = manifest.find(data)
    photos = [one for one in found if one.kind == manifest.PHOTOS]
    labelled = [one for one in photos if records.LABEL in one.features and one.labels]
    if len(labelled) != 1:
        have = ", ".join(
            f"{one.directory} ({one.kind}, {len(one.labels)} classes)" for one in found
        )
        raise UserError(
            f"--data={data}: expected one labelled set of photos (python -m "
            "data_prep.imagenet, or data_prep.photos --labels=folders); found "
            f"{len(labelled)} among: {have}"
        )
    return _open(labelled[0])


def _open(one):
    if len(one.labels) < 2:
        raise UserError(
            f"{one.directory}: has the one class {one.labels[0]!r}; classification "
            "takes two or more"
        )
    splits = [name for name in _TEST_SPLITS if one.records(name)]
    if not splits or not one.records(TRAIN):
        counts = {name: one.records(name) for name in (TRAIN, *_TEST_SPLITS)}
        raise UserError(
            f"{one.directory}: expected photos in the split {TRAIN} and in "
            f"{' or '.join(_TEST_SPLITS)}; it has {counts}"
        )
    return LabelledPhotos(
        directory=one.directory,
        classes=tuple(one.labels),
        train=pipeline.Source([one], TRAIN),
        test=pipeline.Source([one], splits[0]),
        test_split=splits[0],
        checksum=manifest.fingerprint([one], (TRAIN, splits[0])),
    )


def count_labels(photos):
    """Photos of each class in both splits: (train, test), int64 [classes] each.

    Reads every record once, without decoding photos.

    Raises:
      UserError: for a damaged shard, a photo without a label, a class that is tested
        and not trained, or a single class.
    """
    counts = [
        _count(source, len(photos.classes), f"{photos.directory}, split {split}")
        for source, split in (
            (photos.train, TRAIN),
            (photos.test, photos.test_split),
        )
    ]
    train, test = counts
    untrained = [photos.classes[index] for index in np.flatnonzero(test * (train == 0))]
    if untrained:
        raise UserError(
            f"{photos.directory}: the classes of {TRAIN} and {photos.test_split} do not "
            f"match: {len(untrained)} are tested and have no training photo: "
            f"{', '.join(untrained[:5])}"
        )
    if np.count_nonzero(train) < 2:
        raise UserError(f"{photos.directory}: all training photos are of one class")
    return train, test


def _count(source, classes, where):
    spec = {"image/label": tf.io.FixedLenFeature([], tf.int64)}
    stream = whole_split.serialized_records(source).batch(_SCAN_BATCH)
    stream = stream.map(lambda batch: tf.io.parse_example(batch, spec)["image/label"])
    counts, done = np.zeros(classes, np.int64), 0
    with (
        whole_split.damage_explained(source),
        Progress("labels", source.records) as bar,
    ):
        for labels in stream.prefetch(1).as_numpy_iterator():
            _check_range(labels, classes, where)
            counts += np.bincount(labels, minlength=classes)
            done += len(labels)
            bar.update(done)
    return counts


def _check_range(labels, classes, where):
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise UserError(
            f"{where}: {len(wrong)} photos (of the first ones) have the label "
            f"{wrong[0]}; expected 0 to {classes - 1}: build the set with a class folder "
            "for every photo"
        )


class TrainingPhotos:
    """What `pipeline.training_batches` asks of a task: random crops and labels."""

    features = (records.IMAGE, records.LABEL)

    def __init__(self, config):
        self._config = config

    def preprocess_example(self, record, seed):
        """ "image" uint8 [S, S, 3] and "label" int64 []."""
        if self._config.augment:
            image = inception_augmentation.random_crop(
                record["encoded"],
                self._config.image_size,
                seed,
                self._config.min_crop_area,
                self._config.min_crop_aspect,
            )
        else:
            image = centre_crop(record["image"], self._config.image_size)
        return {"image": image, "label": record["label"]}


def augmented(images, config, seed):
    """Crops as the trunk sees them in training, mirrored and recoloured on the device.

    Args:
      images: uint8 [B, S, S, 3].
      config: a `Config`.
      seed: int32 [2].

    Returns:
      float32 [B, S, S, 3] in [0, 1].
    """
    images = to_float(images)
    if not config.augment:
        return images
    mirror_seed, color_seed = tf.unstack(tf.random.split(seed))
    if config.mirror:
        images = inception_augmentation.random_mirror(images, mirror_seed)
    return inception_augmentation.random_color(
        images,
        color_seed,
        config.brightness,
        config.contrast,
        config.saturation,
        config.hue,
    )


def to_float(images):
    """Uint8 images as float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0


class TrainingKeys:
    """The same stream without decoding anything: for features that are there already."""

    features = (records.LABEL,)

    def preprocess_example(self, record, seed):
        """ "key", scalar string, and "label" int64 []."""
        del seed
        return {"key": record["key"], "label": record["label"]}


def centre_crop(image, size):
    """The square in the middle: uint8 [H, W, 3] -> uint8 [size, size, 3]."""
    return tf.cast(tf.round(255.0 * pipeline.centre_crop(image, size)), tf.uint8)


def in_file_order(source, size, batch_size):
    """One pass over a split as centre crops: a generator of dicts of batches.

    "image" uint8 [B, size, size, 3], "label" int64 [B] and "key" string [B], tensors.

    Raises:
      UserError: for a damaged shard, as it is iterated.
    """
    stream = whole_split.serialized_records(source).map(lambda record: (record, -1))
    with whole_split.damage_explained(source):
        for batch in _centre_crops(stream, size, batch_size):
            yield pipeline.split_stand_in(batch)[0]


def sample(source, size, batch_size, count, seed):
    """As `in_file_order`, of `count` photos in random order, or of all if it has fewer."""
    stream = pipeline.record_stream(source, seed, 0).take(min(count, source.records))
    for batch in _centre_crops(stream, size, batch_size):
        batch, stand_ins = pipeline.split_stand_in(batch)
        if tf.reduce_any(stand_ins >= 0):
            raise UserError(
                f"{source.files[int(tf.reduce_max(stand_ins))]}: is damaged, so nothing "
                "was measured; delete it and run its builder's command again"
            )
        yield batch


def _centre_crops(stream, size, batch_size):
    def prepare(serialized, stand_in):
        record = records.parse(serialized, (records.IMAGE, records.LABEL))
        image = centre_crop(record["image"], size)
        return {**record, "image": image, pipeline.STAND_IN: stand_in}

    crops = stream.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return crops.batch(batch_size).prefetch(2)
