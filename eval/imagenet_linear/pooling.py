"""Max-pooling of a map to a few cells (paper section 5: 3x3)."""

from __future__ import annotations

import tensorflow as tf


def max_pool_to(net: tf.Tensor, cells: int) -> tf.Tensor:
    """Max-pools a map to `cells` x `cells` by equal windows that cover all of it.

    The windows are floor(H / cells) apart and as large as it takes to reach the end, so
    that they overlap where H is no multiple: 14 to 3 by windows of 6 at stride 4.

    Args:
      net: [B, H, W, C], H and W static and at least `cells`.

    Returns:
      [B, cells, cells, C].
    """
    strides = [side // cells for side in net.shape[1:3]]
    windows = [
        side - (cells - 1) * stride for side, stride in zip(net.shape[1:3], strides)
    ]
    return tf.nn.max_pool2d(net, windows, strides, padding="VALID")
