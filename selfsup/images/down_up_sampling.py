"""Random loss of resolution: images made small and then large again.

Doersch et al. (ICCV 2015) do so to some patches, so that the low-level texture that
continues from one patch to its neighbour gives less away.
"""

import numpy as np
import tensorflow as tf


def resampling_table(size, smallest):
    """Matrices that shrink a column of pixels and stretch it again.

    Resizing is linear and separable, so one matrix for rows and columns does for an
    image what two calls of `tf.image.resize` do. A batch can then resample each of
    its images by its own factor.

    Args:
      size: int, pixels of the column.
      smallest: int, the least size it is shrunk to.

    Returns:
      float32 NumPy [size - smallest + 1, size, size]; entry k goes by way of
      `smallest + k` pixels, the last is the identity.
    """
    with tf.init_scope():
        columns = tf.eye(size)[:, :, None]
        matrices = []
        for small in range(smallest, size + 1):
            shrunk = tf.image.resize(columns, [small, size], antialias=True)
            matrices.append(tf.image.resize(shrunk, [size, size])[:, :, 0].numpy())
    return np.stack(matrices)


def random_down_up_sample(images, table, probability, seed):
    """Resamples each image with the given probability.

    Args:
      images: float32 [N, size, size, C].
      table: as of `resampling_table(size, smallest)`. The number of pixels that an
        image passes through is uniform from smallest^2 to (size - 1)^2, as in the
        public code of Doersch et al.; uniform sides would lose more.
      probability: float.
      seed: int32 [2].

    Returns:
      float32, the shape of `images`.
    """
    chosen_seed, size_seed = tf.unstack(tf.random.split(seed))
    count, last = tf.shape(images)[0], len(table) - 1
    chosen = tf.random.stateless_uniform([count], chosen_seed) < probability
    size = images.shape[1]
    sides = _sides(tf.random.stateless_uniform([count], size_seed), size - last, size)
    matrices = tf.gather(table, tf.where(chosen, sides - (size - last), last))
    rows = tf.einsum("nij,njkc->nikc", matrices, images)
    return tf.einsum("nij,nkjc->nkic", matrices, rows)


def _sides(draws, smallest, size):
    """Sides of squares whose area is uniform: float32 [N] in [0, 1) to int32 [N]."""
    least, most = smallest**2, max(size - 1, smallest) ** 2
    return tf.cast(tf.sqrt(least + draws * (most - least)), tf.int32)
