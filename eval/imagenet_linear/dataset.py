"""The labelled photos: the data set, its splits and labels, and streams of photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval import complete_pass
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.held_out import is_held_out
from eval.json_types import JsonObject
from eval.trunk_features import trunk_input
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import manifest, pipeline, records
from selfsup.images import inception_augmentation

TRAIN = "train"
_TEST_SPLITS = ("validation", "test")
_SCAN_BATCH = 1024
# The value of TF-Slim's preprocessing for evaluation (inception_preprocessing.py).
_CENTRAL_FRACTION = 0.875

# Decides by a photo's key, a scalar string tensor, whether the photo is read.
Keep = Callable[[tf.Tensor], tf.Tensor]


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
        raise UserError(
            f"--data={data}: expected one labelled set of photos (python -m "
            "data_prep.imagenet, or data_prep.photos --labels=folders), but found "
            f"{len(labelled)} among: {descriptions}"
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
            "be chosen. Use a larger --set=held_out_share, or a single learning rate in "
            "--set=learning_rates=[...] with held_out_share=0"
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
            "--set=held_out_share, or more photos)"
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


class TrainingPhotos:
    """Preprocesses records for `pipeline.training_batches`: random crops and labels."""

    features = (records.IMAGE, records.LABEL)

    def __init__(self, config: Config) -> None:
        self._config = config

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Crops one photo.

        Args:
          record: a parsed record, with the encoded image.
          seed: int32 [2].

        Returns:
          "image" uint8 [S, S, 3], "label" int64 [] and "held_out" bool [].
        """
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


class TrainingKeys:
    """Like `TrainingPhotos`, but with keys instead of images, for cached features.

    The images are never decoded.
    """

    features = (records.LABEL,)

    def __init__(self, config: Config) -> None:
        self._config = config

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns "key", scalar string, "label" int64 [] and "held_out" bool []."""
        del seed
        return {"key": record["key"], **_label(record, self._config)}


def _label(record: dict[str, tf.Tensor], config: Config) -> dict[str, tf.Tensor]:
    held_out = is_held_out(record["key"], config.held_out_share)
    return {"label": record["label"], "held_out": held_out}


def augmented(images: tf.Tensor, config: Config, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors and recolours training crops on the device, as the trunk's input.

    Args:
      images: uint8 [B, S, S, 3].
      config: the hyperparameters.
      seed: int32 [2].

    Returns:
      float32 [B, S, S, 3] in [0, 1].
    """
    images = trunk_input(images)
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


def centre_crop(image: tf.Tensor, size: int) -> tf.Tensor:
    """Crops the middle of a photo, like TF-Slim's Inception preprocessing for evaluation.

    The middle 0.875 of the height and of the width is resized to a square; the aspect is
    not preserved. Unlike TF-Slim, the resize averages pixels when it shrinks (antialias).

    Args:
      image: uint8 [H, W, 3].
      size: side of the result, in pixels.

    Returns:
      uint8 [size, size, 3].
    """
    image = tf.image.central_crop(image, _CENTRAL_FRACTION)
    image = tf.image.resize(image, [size, size], antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def in_file_order(
    source: pipeline.DatasetSplit,
    size: int,
    batch_size: int,
    keep: Keep | None = None,
) -> Iterator[dict[str, tf.Tensor]]:
    """Reads a split once, in file order, as centre crops.

    Args:
      source: the shards of the split.
      size: side of the crops, in pixels.
      batch_size: photos per batch; the last batch may have fewer.
      keep: decides which photos are read; None for all.

    Yields:
      batches: "image" uint8 [B, size, size, 3], "label" int64 [B], "key" string [B].

    Raises:
      UserError: for a damaged shard.
    """
    stream = complete_pass.serialized_records(source).map(lambda record: (record, -1))
    with complete_pass.damage_explained(source):
        for batch in _centre_crops(_filtered(stream, keep), size, batch_size):
            yield pipeline.split_replaced_shard(batch)[0]


def sample(
    source: pipeline.DatasetSplit,
    size: int,
    batch_size: int,
    count: int,
    seed: int,
    keep: Keep | None = None,
) -> Iterator[dict[str, tf.Tensor]]:
    """Reads some photos of a split in random order, as centre crops.

    Args:
      source: the shards of the split.
      size: side of the crops, in pixels.
      batch_size: photos per batch; the last batch may have fewer.
      count: largest number of photos.
      seed: seed of the order.
      keep: decides which photos are read; None for all.

    Yields:
      batches, see `in_file_order`.

    Raises:
      UserError: for a damaged shard.
    """
    stream = pipeline.record_stream(source, seed, 0).take(source.records)
    stream = _filtered(stream, keep).take(count)
    for batch in _centre_crops(stream, size, batch_size):
        batch, replaced = pipeline.split_replaced_shard(batch)
        if tf.reduce_any(replaced >= 0):
            raise UserError(
                f"{source.files[int(tf.reduce_max(replaced))]}: this shard is damaged, so "
                "nothing was measured. Delete it and run the command that built the data "
                "set again"
            )
        yield batch


def _filtered(stream: tf.data.Dataset, keep: Keep | None) -> tf.data.Dataset:
    if keep is None:
        return stream

    def is_kept(serialized: tf.Tensor, replaced: tf.Tensor) -> tf.Tensor:
        del replaced
        return keep(records.parse(serialized, ())["key"])

    return stream.filter(is_kept)


def _centre_crops(
    stream: tf.data.Dataset, size: int, batch_size: int
) -> tf.data.Dataset:
    def prepare(serialized: tf.Tensor, replaced: tf.Tensor) -> dict[str, tf.Tensor]:
        record = records.parse(serialized, (records.IMAGE, records.LABEL))
        image = centre_crop(record["image"], size)
        return {**record, "image": image, pipeline.REPLACED_SHARD: replaced}

    crops = stream.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return crops.batch(batch_size).prefetch(2)
