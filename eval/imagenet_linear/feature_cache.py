"""Features of all training photos on disk, for training without augmentation.

The trunk is frozen, so without augmentation a photo's features never change. Batches
read from here hold the very numbers that the trunk would compute again.
"""

import os
import shutil

import numpy as np
import tensorflow as tf

from eval.imagenet_linear import dataset
from selfsup.common.errors import UserError
from selfsup.data import pipeline

FOLDER = "feature_cache"
_FEATURES = "features.npy"
_KEYS = "keys.npy"


class FeatureCache:
    """Features float32 [photos, R, F] in a memory-mapped file, and the photos' keys."""

    def __init__(self, output, photos, rows, size, config):
        """
        Args:
          output: the evaluation's folder.
          photos: `LabelledPhotos`, of whose training split it is.
          rows, size: of the features.
          config: a `Config`; its `cache_gigabytes` is the most that the file may take.

        Raises:
          UserError: when it would take more.
        """
        self._folder = os.path.join(output, FOLDER)
        self._source = photos.train
        self._config = config
        self._shape = (photos.train.records, rows, size)
        need = 4 * np.prod(self._shape, dtype=np.float64) / 1e9
        if need > config.cache_gigabytes:
            raise UserError(
                f"--set=cache_features=true: features of {photos.train.records} photos "
                f"take {need:.3g} GB, more than "
                f"cache_gigabytes={config.cache_gigabytes:g}"
            )

    def remove(self):
        """Removes the files, as they are of another trunk or of no use any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def fill(self, look, batches):
        """Computes all features, unless they are there.

        Args:
          look: uint8 images [B, S, S, 3] -> float32 [R, B, F].
          batches: iterable of dicts of the training split in any order, each photo
            once.
        """
        if os.path.exists(os.path.join(self._folder, _KEYS)):
            return
        self.remove()
        try:
            os.makedirs(self._folder)
            keys = self._write(look, batches)
            # Last, as the sign that the features are whole.
            temporary = os.path.join(self._folder, "keys.partial.npy")
            np.save(temporary, np.array(keys))
            os.replace(temporary, os.path.join(self._folder, _KEYS))
        except OSError as error:
            self.remove()
            raise UserError(
                f"--set=cache_features=true: {self._folder}: {error}"
            ) from error

    def _write(self, look, batches):
        path = os.path.join(self._folder, _FEATURES)
        stored = np.lib.format.open_memmap(path, "w+", np.float32, self._shape)
        keys = []
        for batch in batches:
            found = look(batch["image"]).numpy()
            stored[len(keys) : len(keys) + found.shape[1]] = found.transpose(1, 0, 2)
            keys.extend(batch["key"].numpy())
        stored.flush()
        if len(set(keys)) != self._shape[0]:
            raise UserError(
                f"--set=cache_features=true: the training split has {len(set(keys))} "
                f"different keys for {self._shape[0]} photos"
            )
        return keys

    def training_batches(self, seed, position, batch_size):
        """As of `TrainingPhotos` from the pipeline, with "features" for "image"."""
        stored = np.load(os.path.join(self._folder, _FEATURES), mmap_mode="r")
        keys = np.load(os.path.join(self._folder, _KEYS))
        rows = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys), tf.range(len(keys), dtype=tf.int64)
            ),
            default_value=-1,
        )

        def read(indices):
            return stored[indices]

        def with_features(batch):
            indices = rows.lookup(batch.pop("key"))
            features = tf.numpy_function(read, [indices], tf.float32)
            shape = [batch_size, *self._shape[1:]]
            return {**batch, "features": tf.ensure_shape(features, shape)}

        batches = pipeline.training_batches(
            dataset.TrainingKeys(self._config), self._source, seed, position, batch_size
        )
        return batches.map(with_features).prefetch(2)
