"""Max-pooling of a feature map to a small grid (paper section 5: 3x3)."""

from __future__ import annotations

import tensorflow as tf


def max_pool_to(net: tf.Tensor, cells: int) -> tf.Tensor:
    """Max-pools a map to `cells` x `cells` with equal windows that cover all of it.

    The stride of the windows is floor(H / cells), and they are just large enough to reach
    the end of the map. They overlap where H is not a multiple of `cells`: 14 is pooled to
    3 by windows of 6 at stride 4.

    Args:
      net: [B, H, W, C]; H and W are static and at least `cells`.
      cells: side of the result.

    Returns:
      [B, cells, cells, C], of the same dtype.
    """
    strides = [side // cells for side in net.shape[1:3]]
    windows = [
        side - (cells - 1) * stride for side, stride in zip(net.shape[1:3], strides)
    ]
    return tf.nn.max_pool2d(net, windows, strides, padding="VALID")
