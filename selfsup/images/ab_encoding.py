"""Colours as ab bins: soft encoding, class rebalancing, decoding.

Zhang et al., "Colorful Image Colorization" (ECCV 2016), which the paper's section 2
follows closely.
"""

import numpy as np
import tensorflow as tf

NEIGHBORS = 5
SIGMA = 5.0
# A photo with no |a| or |b| above this is taken for a gray one.
GRAY_AB = 5.0


def is_colorful(ab):
    """Whether photos have color in them: ab [B, h, w, 2] to bool [B].

    Gray ones are left out of training, and of the prior.
    """
    return tf.reduce_any(tf.abs(ab) > GRAY_AB, axis=[1, 2, 3])


def soft_encode(
    ab: tf.Tensor, centres: tf.Tensor, neighbors: int = NEIGHBORS
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encodes each colour as weights of its nearest bins.

    Args:
      ab: float32 [..., 2].
      centres: float32 [bins, 2].
      neighbors: how many bins share a colour: 5 in the text of Zhang et al., 10 in
        their public code.

    Returns:
      (indices, weights), both [..., neighbors], int32 and float32: the nearest bins,
      nearest first, and their Gaussian weights, which sum to 1. Kept sparse, as the
      dense code would be `bins` wide at every pixel.
    """
    centres = tf.convert_to_tensor(centres, tf.float32)
    squared = (
        tf.reduce_sum(tf.square(ab), axis=-1, keepdims=True)
        - 2.0 * tf.einsum("...c,bc->...b", ab, centres)
        + tf.reduce_sum(tf.square(centres), axis=-1)
    )
    negated, indices = tf.math.top_k(-squared, k=neighbors)
    return indices, tf.nn.softmax(negated / (2.0 * SIGMA**2))


def rebalancing_weights(prior, uniform_share=0.5):
    """Loss weight of each bin, which makes rare colours count.

    Args:
      prior: float [bins], frequency of each bin, already smooth in ab (a prior that
        is measured with `soft_encode` is).
      uniform_share: lambda of Zhang et al., the share of a uniform distribution that
        is mixed in before inverting.

    Returns:
      float32 [bins], whose mean under the prior is 1.
    """
    prior = np.asarray(prior, np.float64)
    mixed = (1.0 - uniform_share) * prior + uniform_share / len(prior)
    return (1.0 / mixed / np.sum(prior / mixed)).astype(np.float32)


def cross_entropy(logits, indices, weights):
    """Cross-entropy of predicted bins against soft codes.

    Args:
      logits: float32 [..., bins].
      indices, weights: as of `soft_encode`.

    Returns:
      float32 [...], nats.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    rank = len(logits.shape) - 1
    chosen = tf.gather(log_probabilities, indices, batch_dims=rank, axis=rank)
    return -tf.reduce_sum(weights * chosen, axis=-1)


def annealed_mean(logits, centres, temperature=0.38):
    """Decodes a distribution over bins to one colour.

    Args:
      logits: float32 [..., bins].
      centres: float32 [bins, 2].
      temperature: towards 0 it takes the mode, which is vivid; 1 takes the mean,
        which is dull.

    Returns:
      float32 [..., 2] ab.
    """
    probabilities = tf.nn.softmax(logits / temperature)
    return tf.einsum("...b,bc->...c", probabilities, centres)
