"""Features of some augmented views of every training photo, on disk.

The trunk is frozen and takes most of the time of a step. Linear layers need many more
steps than views, so training repeats the same views.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval.imagenet_linear.config import Config
from eval.imagenet_linear.stored_features import StoredFeatures
from selfsup.common.errors import UserError
from selfsup.data import pipeline

FOLDER = "view_cache"

# (uint8 images [B, S, S, 3], int32 number of the batch) -> float32 [R, B, F].
ComputeViews = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class ViewCache(StoredFeatures[ComputeViews]):
    """Features float32 [N, R, F] in a memory-mapped file, and the labels of the views.

    Attributes:
      views: N, the number of views.
    """

    def __init__(
        self, output: str, records: int, rows: int, size: int, config: Config
    ) -> None:
        """
        Args:
          output: output folder of the evaluation.
          records: number of training photos.
          rows, size: R and F.
          config: the hyperparameters; `augmented_views` is the number of views of each
            photo, and `cache_gigabytes` limits the size of the file.

        Raises:
          UserError: when the file would be larger.
        """
        self.views = config.augmented_views * records
        folder = os.path.join(output, FOLDER)
        super().__init__(folder, "labels.npz", (self.views, rows, size))
        self._batch_size = config.batch_size
        self._labels = np.zeros([self.views], np.int64)
        self._held_out = np.zeros([self.views], np.bool_)
        if self.gigabytes > config.cache_gigabytes:
            raise UserError(
                f"augmented_views={config.augmented_views}: the features of these views "
                f"of {records} photos take {self.gigabytes:.3g} GB, more than "
                f"cache_gigabytes={config.cache_gigabytes:g}. Use fewer views, or 0 for "
                "new views at every step"
            )

    def _write(
        self,
        stored: npt.NDArray[np.float32],
        compute: ComputeViews,
        batches: Iterable[dict[str, tf.Tensor]],
    ) -> None:
        """Stores the first N examples of the endless training batches `batches`."""
        done = 0
        for number, batch in enumerate(batches):
            examples, replaced = pipeline.split_replaced_shard(batch)
            if tf.reduce_any(replaced >= 0):
                raise UserError(
                    "a shard of the training set is damaged. Run python -m "
                    "data_prep.inspect DIR --verify to find it, delete it, and run the "
                    "command that built the data set again"
                )
            features = compute(examples["image"], tf.constant(number)).numpy()
            rows = slice(done, min(done + features.shape[1], self.views))
            count = rows.stop - rows.start
            stored[rows] = features.swapaxes(0, 1)[:count]
            self._labels[rows] = examples["label"][:count]
            self._held_out[rows] = examples["held_out"][:count]
            done = rows.stop
            if done == self.views:
                break

    def _save_index(self, path: str) -> None:
        np.savez(path, labels=self._labels, held_out=self._held_out)

    def training_batches(self, seed: int, position: int) -> tf.data.Dataset:
        """Returns endless batches; each pass over the views has another order.

        Args:
          seed: seed of the orders.
          position: number of examples consumed so far.

        Returns:
          tf.data.Dataset of dicts: "features" float32 [B, R, F], "label" int64 [B],
          "held_out" bool [B] and `pipeline.REPLACED_SHARD`.
        """
        with np.load(self._index) as content:
            labels, held_out = (
                tf.constant(content[name]) for name in ("labels", "held_out")
            )
        size, views = self._batch_size, self.views
        features_at = self._reader()

        def index_at(position: tf.Tensor) -> tf.Tensor:
            order = tf.stack([tf.constant(seed, tf.int64), position // views])
            return tf.random.experimental.index_shuffle(
                position % views, order, np.int64(views - 1)
            )

        def batch_at(indices: tf.Tensor) -> dict[str, tf.Tensor]:
            return {
                "features": features_at(indices),
                "label": tf.gather(labels, indices),
                "held_out": tf.gather(held_out, indices),
                pipeline.REPLACED_SHARD: tf.fill([size], -1),
            }

        indices = tf.data.Dataset.counter(position).map(index_at)
        return indices.batch(size, drop_remainder=True).map(batch_at).prefetch(2)
