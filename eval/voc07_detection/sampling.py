"""Random choice of anchors and proposals that follows from a seed.

tf-models' samplers draw from the graph's own random state, which a checkpoint does not
hold: a resumed run would draw others.
"""

import tensorflow as tf


def balanced(positive, negative, number, positive_share, seed):
    """Draws up to `number` of N, no more than a share of them positive.

    Negatives make up for positives that are missing, not the other way round. Where
    both are too few, others fill up.

    Args:
      positive, negative: bool [B, N], disjoint.
      number: int, K; at most N are drawn.
      positive_share: in [0, 1].
      seed: int32 [2].

    Returns:
      (int32 [B, K] indices, bool [B, K]: whether it was drawn rather than filled up).
    """
    order = tf.random.stateless_uniform(tf.shape(positive), seed)
    number = min(number, positive.shape[1])
    most = max(1, int(number * positive_share))
    first = tf.math.top_k(tf.where(positive, order, -1.0), most)
    # Of the positives, those that are drawn last.
    threshold = first.values[:, -1:]
    drawn = tf.logical_and(positive, order >= threshold)
    priority = order + 2.0 * tf.cast(drawn, tf.float32) + tf.cast(negative, tf.float32)
    priority, indices = tf.math.top_k(priority, number)
    return indices, priority >= 1.0
