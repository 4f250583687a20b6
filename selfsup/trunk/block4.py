"""Block 4 of ResNet-v2, which is not part of the trunk.

It serves the ImageNet-labels baseline, the box head of the detection evaluation
(paper section 5), and the import of published checkpoints.
"""

from __future__ import annotations

import tensorflow as tf

from selfsup.trunk.layers import BatchNorm, SpaceToBatch, build_sublayer
from selfsup.trunk.resnet_v2 import (
    DEPTHS,
    EXPANSION,
    ResNetV2,
    block_geometries,
    build_block,
    run_block,
)
from selfsup.trunk.trunk import Tail, TrunkConfig


class Block4(Tail):
    """Block 4, followed by Slim's `postnorm` and a ReLU.

    `block4(features)`: block 3's raw output [B, h, w, C] -> [B, h, w, 2C] float32.

    Args:
      config: that of the trunk below; None for the default `TrunkConfig`.

    Attributes:
      units: residual units of the block.
    """

    def __init__(self, config: TrunkConfig | None = None, name: str = "block4") -> None:
        super().__init__(TrunkConfig() if config is None else config, name)
        widths = [EXPANSION * width for width in DEPTHS[self.config.depth].bottlenecks]
        self.postnorm = BatchNorm(dtype=self.config.dtype_policy, name="postnorm")
        self.units = build_block(self.config, 3, widths[2])
        build_sublayer(self.postnorm, [None, None, None, widths[3]])
        self.built = True

    @property
    def channels(self) -> int:
        """Channels of the output, 2C."""
        return self.units[-1].channels

    def call(
        self,
        features: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Computes normalised and rectified features.

        Args:
          features: float32 [B, h, w, C], the trunk's output.
          training: whether to normalise by the batch's own statistics and update the
            moving statistics.
          output_stride: stride of the trunk's output; None for the config's. It decides
            the atrous rate: 4 at stride 8, 2 at 16 and 1 at 32 (also for box crops).

        Returns:
          float32 [B, h, w, 2C].

        Raises:
          UserError: if the output stride is unknown.
        """
        stride = self.config.output_stride if output_stride is None else output_stride
        ResNetV2.check_output_stride(stride)
        rate = block_geometries(stride)[3].rate
        space = SpaceToBatch(features, rate, self.config.phases)
        net = space.enter(features)
        *_, net = run_block(self.units, net, training, rate=space.rate)
        net = tf.nn.relu(self.postnorm(net, training=training))
        return tf.cast(space.leave(net), tf.float32)
