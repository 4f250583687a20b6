"""Random choice of anchors and proposals that is determined by a seed.

The samplers of tf-models draw from the random state of the graph, which a checkpoint does
not hold, so a resumed run would draw other samples.
"""

from __future__ import annotations

import tensorflow as tf


def balanced(
    positive: tf.Tensor,
    negative: tf.Tensor,
    number: int,
    positive_share: float,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws up to `number` of N candidates, at most a share of which are positive.

    Negatives replace missing positives, but positives never replace missing negatives. If
    both are too few, the remaining places are filled with other candidates.

    Args:
      positive, negative: bool [B, N], disjoint.
      number: K, the number to draw; at most N are drawn.
      positive_share: largest share of positives, in [0, 1].
      seed: int32 [2].

    Returns:
      (int32 [B, K] indices, bool [B, K]: whether an index was drawn and does not only
      fill a place).
    """
    order = tf.random.stateless_uniform(tf.shape(positive), seed)
    number = min(number, positive.shape[1])
    most = max(1, int(number * positive_share))
    first = tf.math.top_k(tf.where(positive, order, -1.0), most)
    # The smallest order of the positives that are drawn.
    threshold = first.values[:, -1:]
    drawn = tf.logical_and(positive, order >= threshold)
    priority = order + 2.0 * tf.cast(drawn, tf.float32) + tf.cast(negative, tf.float32)
    priority, indices = tf.math.top_k(priority, number)
    return indices, priority >= 1.0
