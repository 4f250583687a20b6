"""Streams of labelled photos: random training crops, and centre crops for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import tensorflow as tf

from eval import complete_pass
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.held_out import is_held_out
from eval.trunk_features import trunk_input
from selfsup.common.errors import UserError
from selfsup.data import pipeline, records
from selfsup.images import inception_augmentation

# The value of TF-Slim's preprocessing for evaluation (inception_preprocessing.py).
_CENTRAL_FRACTION = 0.875

# Decides by a photo's key, a scalar string tensor, whether the photo is read.
Keep = Callable[[tf.Tensor], tf.Tensor]


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
