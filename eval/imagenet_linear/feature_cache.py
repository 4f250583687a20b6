"""Features of all training photos on disk, for training without augmentation.

The trunk is frozen, so without augmentation the features of a photo never change. Batches
that are read from here hold exactly the numbers that the trunk would compute again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval.imagenet_linear import photo_streams
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.dataset import LabelledPhotos
from eval.imagenet_linear.stored_features import StoredFeatures
from selfsup.common.errors import UserError
from selfsup.data import pipeline

FOLDER = "feature_cache"

# uint8 images [B, S, S, 3] -> features float32 [R, B, F].
ComputeFeatures = Callable[[tf.Tensor], tf.Tensor]


class FeatureCache(StoredFeatures[ComputeFeatures]):
    """Features float32 [photos, R, F] in a memory-mapped file, and the photos' keys."""

    def __init__(
        self, output: str, photos: LabelledPhotos, rows: int, size: int, config: Config
    ) -> None:
        """
        Args:
          output: output folder of the evaluation.
          photos: the labelled photos; the features are those of the training split.
          rows, size: R and F.
          config: the hyperparameters; `cache_gigabytes` limits the size of the file.

        Raises:
          UserError: when the file would be larger.
        """
        folder = os.path.join(output, FOLDER)
        super().__init__(folder, "keys.npy", (photos.train.records, rows, size))
        self._source = photos.train
        self._config = config
        self._keys: list[bytes] = []
        if self.gigabytes > config.cache_gigabytes:
            raise UserError(
                f"cache_features=true: the features of {photos.train.records} photos "
                f"take {self.gigabytes:.3g} GB, more than "
                f"cache_gigabytes={config.cache_gigabytes:g}"
            )

    def _write(
        self,
        stored: npt.NDArray[np.float32],
        compute: ComputeFeatures,
        batches: Iterable[dict[str, tf.Tensor]],
    ) -> None:
        """Stores the features of each photo of `batches`, which has each photo once."""
        keys: list[bytes] = []
        for batch in batches:
            features = compute(batch["image"]).numpy()
            stored[len(keys) : len(keys) + features.shape[1]] = features.swapaxes(0, 1)
            keys.extend(batch["key"].numpy())
        if len(set(keys)) != self._shape[0]:
            raise UserError(
                f"cache_features=true: the training split has {len(set(keys))} different "
                f"keys for {self._shape[0]} photos"
            )
        self._keys = keys

    def _save_index(self, path: str) -> None:
        np.save(path, np.array(self._keys))

    def training_batches(
        self, seed: int, position: int, batch_size: int
    ) -> tf.data.Dataset:
        """Returns the batches of `TrainingPhotos`, with "features" instead of "image".

        Args:
          seed: seed of the order.
          position: number of examples consumed so far.
          batch_size: photos per batch.

        Returns:
          endless tf.data.Dataset of dicts: "features" float32 [B, R, F], "label" int64
          [B], "held_out" bool [B] and `pipeline.REPLACED_SHARD`.
        """
        keys = np.load(self._index)
        rows = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys), tf.range(len(keys), dtype=tf.int64)
            ),
            default_value=-1,
        )
        features_at = self._reader()

        def with_features(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            features = features_at(rows.lookup(batch.pop("key")))
            return {**batch, "features": features}

        batches = pipeline.training_batches(
            photo_streams.TrainingKeys(self._config),
            self._source,
            seed,
            position,
            batch_size,
        )
        return batches.map(with_features).prefetch(2)
