"""The photos with depth that the evaluation trains and is measured on."""

import tensorflow as tf

from eval import complete_pass
from selfsup.common.errors import UserError
from selfsup.data import manifest, pipeline, records
from selfsup.images.resize import resize

TRAIN = "train"


class Examples:
    """Records with depth, at the size that the network wants.

    Attributes:
      features: that records need, for `pipeline`.
    """

    features = (records.IMAGE, records.DEPTH)

    def __init__(self, config):
        self._config = config

    def preprocess_example(self, record, seed):
        """Photo and depth at the config's size: uint8 and float32 [H, W, 3 and 1].

        Depth takes the nearest pixel's. A depth map of another size than its photo is
        taken to show the same view.
        """
        del seed  # What is random is done to whole batches, on the device.
        size = (self._config.height, self._config.width)
        depth = tf.image.resize(record["depth"], size, method="nearest")
        return {"image": resize(record["image"], *size), "depth": depth}

    def test_example(self, serialized):
        """As above, but with the depth as it is, float32 [H, W], and the key."""
        record = records.parse(serialized, self.features)
        image = resize(record["image"], self._config.height, self._config.width)
        depth = record["depth"][..., 0]
        return {"image": image, "depth": depth, "key": record["key"]}


class Data:
    """The sets below a folder that have depth.

    Attributes:
      train, test: a `pipeline.RecordSource` each.
      description: dict of JSON types for metrics.json.
    """

    def __init__(self, folder, config):
        """
        Args:
          folder: at or below which the built sets are.
          config: the evaluation's `Config`.

        Raises:
          UserError: when no set has depth, or a split is missing.
        """
        self._examples = Examples(config)
        self._config = config
        sets = pipeline.select_sets(Examples.features, manifest.find(folder))
        self.train = _source(sets, TRAIN)
        self.test = _source(sets, config.test_split)
        self.description = {
            "sets": [_describe(one) for one in sets],
            "train": {"split": TRAIN, "images": self.train.records},
            "test": {"split": config.test_split, "images": self.test.records},
            "checksum": manifest.fingerprint(sets, (TRAIN, config.test_split)),
        }

    def batches(self, position, seed):
        """Training batches for ever; see `pipeline.training_batches`."""
        size = self._config.batch_size
        return pipeline.training_batches(
            self._examples, self.train, seed, position, size
        )

    def calibration_batches(self, seed):
        """Some training images, whole and unchanged.

        Returns:
          (how many, tf.data.Dataset of float32 [B, H, W, 3] in [0, 1]).
        """
        wanted = min(self._config.batch_norm_images, self.train.records)
        # The training order is random; that of the files may not be.
        batches = self.batches(0, seed).take(-(-wanted // self._config.batch_size))
        return wanted, batches.map(lambda batch: to_float(batch["image"]))

    def test_batches(self):
        """The test split once, in file order: batches of `Examples.test_example`.

        Depth maps of a batch are filled up to the largest of them with 0, "unknown".
        To be iterated inside of `whole_split.damage_explained`.
        """
        stream = complete_pass.serialized_records(self.test).map(
            self._examples.test_example,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        numbered = stream.map(lambda one: {**one, "size": tf.shape(one["depth"])})
        return numbered.padded_batch(self._config.batch_size).prefetch(2)


def to_float(images):
    """uint8 images as float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0


def _source(sets, split):
    if not any(one.records(split) for one in sets):
        found = "; ".join(f"{one.directory}: {_splits(one)}" for one in sets)
        raise UserError(
            f"no photos with depth in the split {split!r}; there are: {found}. "
            "Build the set with its official splits, or name the split to measure on "
            "with --set=test_split=validation"
        )
    return pipeline.DatasetSplit(sets, split)


def _splits(one):
    names = sorted({shard.split for shard in one.shards})
    return ", ".join(f"{name} ({one.records(name)})" for name in names)


def _describe(one):
    """What says which set this is: where from, which depth, how many frames."""
    return {
        "path": one.directory,
        "kind": one.kind,
        "options": dict(one.options),
        "inputs": dict(one.inputs),
    }
