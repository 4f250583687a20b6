"""Features of some augmented views of every training photo, on disk.

The trunk is frozen and by far the most expensive part of a step. Linear layers need many
more steps than views: training goes over the same views again and again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.data import pipeline

FOLDER = "view_cache"
_FEATURES = "features.npy"
_LABELS = "labels.npz"


class ViewCache:
    """Features float32 [N, R, F] in a memory-mapped file; labels and what is held out."""

    def __init__(self, output: str, records: int, rows: int, size: int, config):
        """
        Args:
          output: the evaluation's folder.
          records: training photos.
          rows, size: of the features.
          config: a `Config`, with `augmented_views` of each photo.

        Raises:
          UserError: when the file would be larger than `cache_gigabytes`.
        """
        self._folder = os.path.join(output, FOLDER)
        self._batch_size = config.batch_size
        self.views = config.augmented_views * records
        self._shape = (self.views, rows, size)
        need = 4 * np.prod(self._shape, dtype=np.float64) / 1e9
        if need > config.cache_gigabytes:
            raise UserError(
                f"--set=augmented_views={config.augmented_views}: features of so many "
                f"views of {records} photos take {need:.3g} GB, more than "
                f"cache_gigabytes={config.cache_gigabytes:g}; fewer views, or 0 for new "
                "ones at every step"
            )

    def remove(self):
        """Removes the files, as they are of another trunk or of no use any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def fill(
        self,
        features: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        batches: Iterable[dict],
    ):
        """Computes all features, unless they are there.

        Args:
          features: (uint8 images [B, S, S, 3], int32 number of the batch) -> float32
            [R, B, F] of augmented images.
          batches: as training has them, from position 0 on; as many as are needed are
            taken. One pass over the photos after the other.

        Raises:
          UserError: when a shard is damaged, or the files cannot be written.
        """
        if os.path.exists(os.path.join(self._folder, _LABELS)):
            return
        self.remove()
        try:
            os.makedirs(self._folder)
            labels = self._write(features, batches)
            # Last, as the sign that the features are whole.
            temporary = os.path.join(self._folder, "labels.partial.npz")
            np.savez(temporary, **labels)
            os.replace(temporary, os.path.join(self._folder, _LABELS))
        except OSError as error:
            self.remove()
            raise UserError(f"{self._folder}: cannot be written: {error}") from error

    def _write(self, features, batches):
        path = os.path.join(self._folder, _FEATURES)
        stored = np.lib.format.open_memmap(path, "w+", np.float32, self._shape)
        labels = np.zeros([self.views], np.int64)
        held_out = np.zeros([self.views], bool)
        done = 0
        for number, batch in enumerate(batches):
            examples, stand_ins = pipeline.split_replaced_shard(batch)
            if tf.reduce_any(stand_ins >= 0):
                raise UserError(
                    "a shard of the training set is damaged (python -m "
                    "data_prep.inspect DIR --verify says which): delete it and run its "
                    "builder's command again"
                )
            found = features(examples["image"], tf.constant(number)).numpy()
            rows = slice(done, min(done + found.shape[1], self.views))
            count = rows.stop - rows.start
            stored[rows] = found.transpose(1, 0, 2)[:count]
            labels[rows] = examples["label"][:count]
            held_out[rows] = examples["held_out"][:count]
            done = rows.stop
            if done == self.views:
                break
        stored.flush()
        return {"labels": labels, "held_out": held_out}

    def training_batches(self, seed: int, position: int) -> tf.data.Dataset:
        """Batches for training, for ever; each pass over the views in another order.

        Args:
          seed: of the orders.
          position: examples consumed so far.

        Returns:
          tf.data.Dataset of dicts: "features" float32 [B, R, F], "label" int64 [B],
          "held_out" bool [B] and `pipeline.REPLACED_SHARD`.
        """
        stored = np.load(os.path.join(self._folder, _FEATURES), mmap_mode="r")
        with np.load(os.path.join(self._folder, _LABELS)) as content:
            labels, held_out = (
                tf.constant(content[name]) for name in ("labels", "held_out")
            )
        size, views = self._batch_size, self.views

        def read(indices):
            return stored[indices]

        def index_at(position):
            order = tf.stack([tf.constant(seed, tf.int64), position // views])
            return tf.random.experimental.index_shuffle(
                position % views, order, np.int64(views - 1)
            )

        def batch_of(indices):
            features = tf.numpy_function(read, [indices], tf.float32)
            return {
                "features": tf.ensure_shape(features, [size, *self._shape[1:]]),
                "label": tf.gather(labels, indices),
                "held_out": tf.gather(held_out, indices),
                pipeline.REPLACED_SHARD: tf.fill([size], -1),
            }

        indices = tf.data.Dataset.counter(position).map(index_at)
        return indices.batch(size, drop_remainder=True).map(batch_of).prefetch(2)
