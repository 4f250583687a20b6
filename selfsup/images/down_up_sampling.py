"""Randomly reduces the resolution of images: shrinks them and enlarges them again.

Doersch et al. (ICCV 2015) do so to some patches, because low-level texture that continues
from a patch to its neighbour would reveal their relative position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt


def resampling_table(size: int, smallest: int) -> npt.NDArray[np.float32]:
    """Computes matrices that shrink a column of pixels and enlarge it again.

    Resizing is linear and separable. So one matrix, applied to rows and columns, equals
    two calls of `tf.image.resize`, and each image of a batch can have its own factor.

    Args:
      size: number of pixels in the column.
      smallest: least size that the column is shrunk to.

    Returns:
      float32 [size - smallest + 1, size, size]; matrix k shrinks to `smallest + k` pixels,
      and the last matrix is the identity.
    """
    with tf.init_scope():
        columns = tf.eye(size)[:, :, None]
        matrices = []
        for small in range(smallest, size + 1):
            shrunk = tf.image.resize(columns, [small, size], antialias=True)
            matrices.append(tf.image.resize(shrunk, [size, size])[:, :, 0].numpy())
    return np.stack(matrices)


def random_down_up_sample(
    images: tf.Tensor,
    table: npt.NDArray[np.float32],
    probability: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Reduces the resolution of random images.

    The number of pixels that an image is shrunk to is uniform between smallest^2 and
    (size - 1)^2, as in the public code of Doersch et al. Uniform sides would make images
    smaller on average.

    Args:
      images: float32 [N, size, size, C].
      table: result of `resampling_table(size, smallest)`.
      probability: of an image to be changed.
      seed: int32 [2].

    Returns:
      float32 [N, size, size, C].
    """
    chosen_seed, size_seed = tf.unstack(tf.random.split(seed))
    count, last = tf.shape(images)[0], len(table) - 1
    chosen = tf.random.stateless_uniform([count], chosen_seed) < probability
    size = images.shape[1]
    sides = _sides(tf.random.stateless_uniform([count], size_seed), size - last, size)
    matrices = tf.gather(table, tf.where(chosen, sides - (size - last), last))
    rows = tf.einsum("nij,njkc->nikc", matrices, images)
    return tf.einsum("nij,nkjc->nkic", matrices, rows)


def _sides(draws: tf.Tensor, smallest: int, size: int) -> tf.Tensor:
    """Converts float32 [N] in [0, 1) to sides of squares of uniform area, int32 [N]."""
    least, most = smallest**2, max(size - 1, smallest) ** 2
    return tf.cast(tf.sqrt(least + draws * (most - least)), tf.int32)
