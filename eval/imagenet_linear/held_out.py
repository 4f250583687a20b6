"""Which training photos are held out to choose learning rates by."""

from __future__ import annotations

import tensorflow as tf

# Shares are multiples of one part in so many.
_PARTS = 1 << 20


def is_held_out(keys: tf.Tensor, share: float) -> tf.Tensor:
    """Whether photos are held out, by a hash of their keys.

    The hash is FarmHash's, which TensorFlow promises not to change: the same photos are
    held out for every trunk, seed and order of the shards.

    Args:
      keys: strings of any shape: the records' keys.
      share: of all photos, in [0, 1].

    Returns:
      bool, of the same shape.
    """
    parts = tf.strings.to_hash_bucket_fast(keys, _PARTS)
    return parts < round(share * _PARTS)
