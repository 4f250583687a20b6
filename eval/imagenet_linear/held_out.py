"""Choice of the training photos that are held out to choose the learning rate."""

from __future__ import annotations

import tensorflow as tf

# Shares are rounded to multiples of 1 / _PARTS.
_PARTS = 1 << 20


def is_held_out(keys: tf.Tensor, share: float) -> tf.Tensor:
    """Whether photos are held out, decided by a hash of their keys.

    TensorFlow guarantees that this hash (FarmHash) never changes, so the same photos are
    held out for every trunk, every seed and every order of the shards.

    Args:
      keys: keys of the records, strings of any shape.
      share: share of photos to hold out, in [0, 1].

    Returns:
      bool, of the shape of `keys`.
    """
    parts = tf.strings.to_hash_bucket_fast(keys, _PARTS)
    return parts < round(share * _PARTS)
