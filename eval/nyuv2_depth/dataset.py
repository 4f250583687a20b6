"""The photos with depth that the evaluation trains and tests on."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from eval import complete_pass
from eval.json_types import JsonObject
from eval.nyuv2_depth.config import DenseConfig
from eval.trunk_features import trunk_input
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline, records
from selfsup.images.resize import resize

TRAIN = "train"


class Examples:
    """Preprocesses records with depth to the size that the network reads.

    Attributes:
      features: features that the records need, for `pipeline`.
    """

    features = (records.IMAGE, records.DEPTH)

    def __init__(self, config: DenseConfig) -> None:
        self._config = config

    def preprocess_example(
        self, record: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Resizes a training example to the config's height H and width W.

        Depth takes the value of the nearest pixel. A depth map of another size than its
        photo is assumed to show the same view.

        Args:
          record: a parsed record.
          seed: not used, because the device augments whole batches.

        Returns:
          "image" uint8 [H, W, 3] and "depth" float32 [H, W, 1], metres, 0 where unknown.
        """
        del seed
        size = (self._config.height, self._config.width)
        depth = tf.image.resize(record["depth"], size, method="nearest")
        return {"image": resize(record["image"], *size), "depth": depth}

    def test_example(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses a test example, with depth at its own size h x w.

        Args:
          serialized: a serialized record, scalar string.

        Returns:
          "image" uint8 [H, W, 3], "depth" float32 [h, w] in metres, 0 where unknown,
          "size" int32 [2] (h and w), and "key", scalar string.
        """
        record = records.parse(serialized, self.features)
        image = resize(record["image"], self._config.height, self._config.width)
        depth = record["depth"][..., 0]
        size = tf.shape(depth)
        return {"image": image, "depth": depth, "key": record["key"], "size": size}


class DepthDataset:
    """The built sets with depth at or below a folder.

    Attributes:
      train, test: shards of the training and the test splits of all sets.
      description: description for metrics.json.
    """

    def __init__(
        self, folder: str, config: DenseConfig, examples: Examples | None = None
    ) -> None:
        """
        Args:
          folder: folder of the built sets, or a folder above them.
          config: the hyperparameters.
          examples: preprocesses the records; None for photos and depth.

        Raises:
          UserError: when no set has depth, or a split is missing.
        """
        self._examples = examples or Examples(config)
        self._config = config
        sets = pipeline.select_sets(Examples.features, manifest.find(folder))
        self.train = _split(sets, TRAIN)
        self.test = _split(sets, config.test_split)
        self.description: JsonObject = {
            "sets": [_describe(built) for built in sets],
            "train": {"split": TRAIN, "images": self.train.records},
            "test": {"split": config.test_split, "images": self.test.records},
            "checksum": manifest.fingerprint(sets, (TRAIN, config.test_split)),
        }

    def batches(self, position: int, seed: int) -> tf.data.Dataset:
        """Returns endless training batches, see `pipeline.training_batches`."""
        size = self._config.batch_size
        return pipeline.training_batches(
            self._examples, self.train, seed, position, size
        )

    def calibration_batches(self, seed: int) -> tuple[int, tf.data.Dataset]:
        """Returns some training images, neither cropped nor recoloured.

        Args:
          seed: seed of the training order. It is random; the order of the files may not
            be.

        Returns:
          (number of images, tf.data.Dataset of float32 [B, H, W, 3] in [0, 1]).
        """
        count = min(self._config.batch_norm_images, self.train.records)
        batches = self.batches(0, seed).take(-(-count // self._config.batch_size))
        return count, batches.map(lambda batch: trunk_input(batch["image"]))

    def test_batches(self) -> tf.data.Dataset:
        """Returns the test split once, in batches of test examples; see `in_file_order`."""
        return self.in_file_order(self.test)

    def in_file_order(self, split: pipeline.DatasetSplit) -> tf.data.Dataset:
        """Reads a split once, in file order, in batches of test examples.

        The maps of a batch are padded with 0, "unknown", to the largest of them. Iterate
        over the result inside `complete_pass.damage_explained`.

        Args:
          split: `train` or `test`.
        """
        stream = complete_pass.serialized_records(split).map(
            self._examples.test_example,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return stream.padded_batch(self._config.batch_size).prefetch(2)


def _split(sets: Sequence[manifest.Manifest], split: str) -> pipeline.DatasetSplit:
    if not any(built.records(split) for built in sets):
        available = "; ".join(f"{built.directory}: {_splits(built)}" for built in sets)
        advice = "Build the set with its official splits"
        if split != TRAIN:
            advice += ", or choose the split to test on with set=test_split=validation"
        raise UserError(
            f"no photos with depth in the split {split!r}; the splits are: {available}. "
            f"{advice}"
        )
    return pipeline.DatasetSplit(sets, split)


def _splits(built: manifest.Manifest) -> str:
    names = sorted({shard.split for shard in built.shards})
    return ", ".join(f"{name} ({built.records(name)})" for name in names)


def _describe(built: manifest.Manifest) -> JsonObject:
    """Identifies a set: its folder, the kind of its depth, and its sources."""
    return {
        "path": built.directory,
        "kind": built.kind,
        "options": dict(built.options),
        "inputs": dict(built.inputs),
    }
