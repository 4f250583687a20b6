"""Features in a memory-mapped file, which are computed once and removed at the end."""

from __future__ import annotations

import abc
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup.common.errors import UserError

FEATURES = "features.npy"

ComputeT = TypeVar("ComputeT", bound=Callable[..., tf.Tensor])


class StoredFeatures(abc.ABC, Generic[ComputeT]):
    """Features float32 [N, R, F] on disk, and an index that says what each belongs to.

    The index is written last, so its existence shows that the features are complete.
    """

    def __init__(self, folder: str, index: str, shape: tuple[int, int, int]) -> None:
        """
        Args:
          folder: folder of the files.
          index: name of the file of the index.
          shape: N, R and F.
        """
        self._folder = folder
        self._index = os.path.join(folder, index)
        self._shape = shape

    @property
    def gigabytes(self) -> float:
        """Size of the features on disk."""
        return float(4 * np.prod(self._shape, dtype=np.float64) / 1e9)

    def remove(self) -> None:
        """Removes the files: they belong to another trunk, or are not needed any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def fill(self, compute: ComputeT, batches: Iterable[dict[str, tf.Tensor]]) -> None:
        """Computes and stores all features, unless they are complete already.

        Args:
          compute: computes the features of a batch, float32 [R, B, F].
          batches: batches of photos.

        Raises:
          UserError: when a shard is damaged, or the files cannot be written.
        """
        if os.path.exists(self._index):
            return
        self.remove()
        try:
            os.makedirs(self._folder)
            stored = self._new_file()
            self._write(stored, compute, batches)
            stored.flush()
            stem, extension = os.path.splitext(self._index)
            temporary = f"{stem}.partial{extension}"
            self._save_index(temporary)
            os.replace(temporary, self._index)
        except OSError as error:
            self.remove()
            raise UserError(f"{self._folder}: cannot be written: {error}") from error

    def _new_file(self) -> np.memmap[Any, np.dtype[np.float32]]:
        path = os.path.join(self._folder, FEATURES)
        return np.lib.format.open_memmap(  # type: ignore[no-untyped-call]  # in NumPy
            path, "w+", np.float32, self._shape
        )

    @abc.abstractmethod
    def _write(
        self,
        stored: npt.NDArray[np.float32],
        compute: ComputeT,
        batches: Iterable[dict[str, tf.Tensor]],
    ) -> None:
        """Fills `stored`, [N, R, F], and keeps what `_save_index` writes."""

    @abc.abstractmethod
    def _save_index(self, path: str) -> None:
        """Writes the index."""

    def _reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from indices, int64 [B], to features, float32 [B, R, F]."""
        stored = np.load(os.path.join(self._folder, FEATURES), mmap_mode="r")

        def read(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            features: npt.NDArray[np.float32] = stored[indices]
            return features

        def features_at(indices: tf.Tensor) -> tf.Tensor:
            features = tf.numpy_function(read, [indices], tf.float32)
            return tf.ensure_shape(features, [indices.shape[0], *self._shape[1:]])

        return features_at
