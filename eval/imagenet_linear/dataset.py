"""The labelled photos: which set, its splits and labels, and streams of them."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from eval import complete_pass
from eval.imagenet_linear.held_out import is_held_out
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import manifest, pipeline, records
from selfsup.images import inception_augmentation

TRAIN = "train"
_TEST_SPLITS = ("validation", "test")
_SCAN_BATCH = 1024
# Of TF-Slim's preprocessing for evaluation (inception_preprocessing.py).
_CENTRAL_FRACTION = 0.875


@dataclasses.dataclass(frozen=True)
class LabelledPhotos:
    """A labelled set of photos, for training and testing.

    Attributes:
      directory: of the set.
      classes: names by label.
      train, test: `pipeline.RecordSource`s.
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
        train=pipeline.DatasetSplit([one], TRAIN),
        test=pipeline.DatasetSplit([one], splits[0]),
        test_split=splits[0],
        checksum=manifest.fingerprint([one], (TRAIN, splits[0])),
    )


@dataclasses.dataclass(frozen=True)
class LabelCounts:
    """Photos of each class, int64 [classes] each.

    Attributes:
      trained: of the training split, without those held out.
      held_out: of the training split, to choose learning rates by.
      tested: of the test split.
    """

    trained: np.ndarray
    held_out: np.ndarray
    tested: np.ndarray


def count_labels(photos: LabelledPhotos, held_out_share: float) -> LabelCounts:
    """Reads every record of both splits once, without decoding photos.

    Args:
      photos: the labelled photos.
      held_out_share: of the training photos; as of `held_out.is_held_out`.

    Raises:
      UserError: for a damaged shard, a photo without a label, a class that is tested
        and not trained, a single class, or no held-out photo where there is a share.
    """
    trained, held_out = _count(photos, photos.train, TRAIN, held_out_share)
    tested, _ = _count(photos, photos.test, photos.test_split, 0.0)
    _check_trained(photos, trained, held_out, tested)
    if held_out_share and not np.any(held_out):
        raise UserError(
            f"{photos.directory}: none of the {photos.train.records} training photos is "
            f"held out at held_out_share={held_out_share:g}, so nothing could choose the "
            "learning rate; a larger --set=held_out_share, or one rate in "
            "--set=learning_rates=[...] with held_out_share=0"
        )
    return LabelCounts(trained, held_out, tested)


def _check_trained(photos, trained, held_out, tested):
    names = np.array(photos.classes)
    untrained = names[tested * (trained == 0) > 0]
    if len(untrained):
        lost = names[tested * (trained == 0) * held_out > 0]
        why = (
            f" (all photos of {', '.join(lost[:5])} are held out: a lower "
            "--set=held_out_share, or more photos)"
            if len(lost)
            else ""
        )
        raise UserError(
            f"{photos.directory}: the classes of {TRAIN} and {photos.test_split} do not "
            f"match: {len(untrained)} are tested and have no training photo: "
            f"{', '.join(untrained[:5])}{why}"
        )
    if np.count_nonzero(trained) < 2:
        raise UserError(f"{photos.directory}: all training photos are of one class")


def _count(photos, source, split, held_out_share):
    """Photos of each class: (those not held out, those held out), int64 [classes]."""
    spec = records.feature_spec((records.LABEL,))

    def read(batch):
        values = tf.io.parse_example(batch, spec)
        return values["image/label"], is_held_out(values["image/key"], held_out_share)

    classes, where = len(photos.classes), f"{photos.directory}, split {split}"
    stream = complete_pass.serialized_records(source).batch(_SCAN_BATCH).map(read)
    counts, done = np.zeros([2, classes], np.int64), 0
    with (
        complete_pass.damage_explained(source),
        ProgressBar("labels", source.records) as bar,
    ):
        for labels, held_out in stream.prefetch(1).as_numpy_iterator():
            _check_range(labels, classes, where)
            np.add.at(counts, (held_out.astype(int), labels), 1)
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
        """ "image" uint8 [S, S, 3], "label" int64 [] and "held_out" bool []."""
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
        return {"image": image, **_label(record, self._config)}


def _label(record, config):
    held_out = is_held_out(record["key"], config.held_out_share)
    return {"label": record["label"], "held_out": held_out}


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

    def __init__(self, config):
        self._config = config

    def preprocess_example(self, record, seed):
        """ "key", scalar string, "label" int64 [] and "held_out" bool []."""
        del seed
        return {"key": record["key"], **_label(record, self._config)}


def centre_crop(image: tf.Tensor, size: int) -> tf.Tensor:
    """The middle of a photo, as in the evaluation of TF-Slim's Inception preprocessing.

    The middle 0.875 of its height and of its width, resized to a square whatever its
    aspect is. Unlike Slim's, the resize averages where it makes smaller (antialias).

    Args:
      image: uint8 [H, W, 3].
      size: pixels.

    Returns:
      uint8 [size, size, 3].
    """
    image = tf.image.central_crop(image, _CENTRAL_FRACTION)
    image = tf.image.resize(image, [size, size], antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def in_file_order(source, size, batch_size, keep=None):
    """One pass over a split as centre crops: a generator of dicts of batches.

    "image" uint8 [B, size, size, 3], "label" int64 [B] and "key" string [B], tensors.

    Args:
      source: a `pipeline.RecordSource`.
      size: pixels, side of the crops.
      batch_size: photos a batch; the last may have fewer.
      keep: key, scalar string tensor -> bool: which photos are read; None for all.

    Raises:
      UserError: for a damaged shard, as it is iterated.
    """
    stream = complete_pass.serialized_records(source).map(lambda record: (record, -1))
    with complete_pass.damage_explained(source):
        for batch in _centre_crops(_kept(stream, keep), size, batch_size):
            yield pipeline.split_replaced_shard(batch)[0]


def sample(source, size, batch_size, count, seed, keep=None):
    """As `in_file_order`, of `count` photos in random order, or of all if it has fewer."""
    stream = pipeline.record_stream(source, seed, 0).take(source.records)
    stream = _kept(stream, keep).take(count)
    for batch in _centre_crops(stream, size, batch_size):
        batch, stand_ins = pipeline.split_replaced_shard(batch)
        if tf.reduce_any(stand_ins >= 0):
            raise UserError(
                f"{source.files[int(tf.reduce_max(stand_ins))]}: is damaged, so nothing "
                "was measured; delete it and run its builder's command again"
            )
        yield batch


def _kept(stream, keep):
    if keep is None:
        return stream

    def is_kept(serialized, stand_in):
        del stand_in
        return keep(records.parse(serialized, ())["key"])

    return stream.filter(is_kept)


def _centre_crops(stream, size, batch_size):
    def prepare(serialized, stand_in):
        record = records.parse(serialized, (records.IMAGE, records.LABEL))
        image = centre_crop(record["image"], size)
        return {**record, "image": image, pipeline.REPLACED_SHARD: stand_in}

    crops = stream.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return crops.batch(batch_size).prefetch(2)
