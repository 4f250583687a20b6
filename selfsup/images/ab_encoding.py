"""Colours as ab bins: soft encoding, class rebalancing, decoding.

Zhang et al., "Colorful Image Colorization" (ECCV 2016), which section 2 of the paper
follows closely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt

NEIGHBORS = 5
SIGMA = 5.0
# A photo whose |a| and |b| are nowhere above this value counts as gray.
GRAY_AB = 5.0


def is_colorful(ab: tf.Tensor) -> tf.Tensor:
    """Tells which photos have colours; gray photos are not trained on.

    Args:
      ab: float32 [B, h, w, 2].

    Returns:
      bool [B].
    """
    return tf.reduce_any(tf.abs(ab) > GRAY_AB, axis=[1, 2, 3])


def soft_encode(
    ab: tf.Tensor, centres: tf.Tensor, neighbors: int = NEIGHBORS
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encodes each colour as weights of its nearest bins.

    Args:
      ab: float32 [..., 2].
      centres: float32 [bins, 2].
      neighbors: number of bins for a colour: 5 in the text of Zhang et al., 10 in their
        public code.

    Returns:
      (indices, weights): int32 and float32, both [..., neighbors]. They are the nearest
      bins, nearest first, and their Gaussian weights, which sum to 1. The code is sparse,
      because a dense code would have `bins` values at every pixel.
    """
    centres = tf.convert_to_tensor(centres, tf.float32)
    squared = (
        tf.reduce_sum(tf.square(ab), axis=-1, keepdims=True)
        - 2.0 * tf.einsum("...c,bc->...b", ab, centres)
        + tf.reduce_sum(tf.square(centres), axis=-1)
    )
    negated, indices = tf.math.top_k(-squared, k=neighbors)
    return indices, tf.nn.softmax(negated / (2.0 * SIGMA**2))


def rebalancing_weights(
    prior: npt.ArrayLike, uniform_share: float = 0.5
) -> npt.NDArray[np.float32]:
    """Returns the weight of each bin in the loss, which is larger for rare colours.

    Args:
      prior: float [bins], frequency of each bin, smooth in ab. A prior measured with
        `soft_encode` is smooth.
      uniform_share: lambda of Zhang et al., the share of the uniform distribution that
        is mixed into the prior before it is inverted, in [0, 1].

    Returns:
      float32 [bins], whose mean under the prior is 1.
    """
    prior = np.asarray(prior, np.float64)
    mixed = (1.0 - uniform_share) * prior + uniform_share / len(prior)
    return (1.0 / mixed / np.sum(prior / mixed)).astype(np.float32)


def cross_entropy(
    logits: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Computes the cross-entropy of predicted bins against soft codes.

    Args:
      logits: float32 [..., bins].
      indices: int32 [..., neighbors], see `soft_encode`.
      weights: float32 [..., neighbors], see `soft_encode`.

    Returns:
      float32 [...], nats.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    rank = len(logits.shape) - 1
    chosen = tf.gather(log_probabilities, indices, batch_dims=rank, axis=rank)
    return -tf.reduce_sum(weights * chosen, axis=-1)


def annealed_mean(
    logits: tf.Tensor, centres: tf.Tensor, temperature: float = 0.38
) -> tf.Tensor:
    """Decodes a distribution over bins to one colour.

    Args:
      logits: float32 [..., bins].
      centres: float32 [bins, 2].
      temperature: near 0 the result is the mode, which is vivid; at 1 it is the mean,
        which is dull.

    Returns:
      float32 [..., 2], ab.
    """
    probabilities = tf.nn.softmax(logits / temperature)
    return tf.einsum("...b,bc->...c", probabilities, centres)
