"""The trunk of the paper: ResNet-v2 up to the end of block 3 (section 3.1).

The network is TF-Slim's `resnet_v2`, root and blocks 1 to 3. Its weights do not depend
on the output stride, so every call can choose a stride.

At output stride 8, all of block 3 is atrous with rate 2. A 3x3 convolution of rate 2
reads only positions of equal parity, so the feature map consists of four independent
phases. Space-to-batch separates the phases once, before the block, and batch-to-space
merges them after it. Between the two the network runs ordinary dense convolutions on
the same elements, and batch statistics are the same too. This is exact only if the size
is a multiple of the rate: a padded row would not stay zero after a batch normalisation.
For other sizes the block runs atrous convolutions.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.trunk.layers import Conv2D, SpaceToBatch, build_sublayer
from selfsup.trunk.residual import ResidualUnit
from selfsup.trunk.trunk import Tail, Trunk, TrunkConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Output channels of a residual unit per bottleneck channel.
EXPANSION = 4
# Stride of the first convolution and max pooling together.
ROOT_STRIDE = 4


@dataclasses.dataclass(frozen=True)
class Depth:
    """A row of the depth table.

    Attributes:
      root: channels of the first convolution.
      units: number of residual units in each of blocks 1 to 4.
      bottlenecks: bottleneck channels of each of blocks 1 to 4; the output of a block
        has 4 times as many.
    """

    root: int
    units: tuple[int, int, int, int]
    bottlenecks: tuple[int, int, int, int]


DEPTHS = {
    "101": Depth(root=64, units=(3, 4, 23, 3), bottlenecks=(64, 128, 256, 512)),
    "50": Depth(root=64, units=(3, 4, 6, 3), bottlenecks=(64, 128, 256, 512)),
    "152": Depth(root=64, units=(3, 8, 36, 3), bottlenecks=(64, 128, 256, 512)),
    "tiny": Depth(root=24, units=(1, 2, 5, 1), bottlenecks=(12, 24, 48, 96)),
    # Half the units of "tiny" at the same widths, to compare depths.
    "tiny_shallow": Depth(root=24, units=(1, 1, 2, 1), bottlenecks=(12, 24, 48, 96)),
}


@dataclasses.dataclass(frozen=True)
class BlockGeometry:
    """Stride and atrous rate of a block.

    Attributes:
      stride: stride of the block's last unit.
      rate: atrous rate of all units of the block.
    """

    stride: int
    rate: int


def block_geometries(output_stride: int) -> list[BlockGeometry]:
    """Returns the geometry of blocks 1 to 4 for an output stride, by Slim's rule.

    The last units of blocks 1 to 3 have stride 2 until the output stride is reached.
    After that, each stride that is not taken doubles the rate of the following blocks.
    """
    blocks = []
    stride, rate = ROOT_STRIDE, 1
    for nominal in (2, 2, 2, 1):
        if stride < output_stride:
            blocks.append(BlockGeometry(nominal, 1))
            stride *= nominal
        else:
            blocks.append(BlockGeometry(1, rate))
            rate *= nominal
    return blocks


def build_block(
    config: TrunkConfig, index: int, input_channels: int
) -> list[ResidualUnit]:
    """Returns the built units of a block.

    Args:
      config: of the trunk.
      index: 0 to 3 for block 1 to 4.
      input_channels: channels of the block's input.
    """
    depth = DEPTHS[config.depth]
    bottleneck = depth.bottlenecks[index]
    units = []
    with tf.name_scope(f"block{index + 1}"):
        for number in range(1, depth.units[index] + 1):
            unit = ResidualUnit(
                EXPANSION * bottleneck,
                bottleneck,
                weight_decay=config.weight_decay,
                dtype=config.dtype_policy,
                name=f"unit_{number}",
            )
            build_sublayer(unit, [None, None, None, input_channels])
            input_channels = EXPANSION * bottleneck
            units.append(unit)
    return units


def run_block(
    units: Sequence[ResidualUnit],
    net: tf.Tensor,
    training: bool,
    stride: int = 1,
    rate: int = 1,
    scope: str | None = None,
) -> Iterator[tf.Tensor]:
    """Runs the units of a block and yields the raw output of each.

    Args:
      units: of the block.
      net: input of the block, [N, H, W, C].
      training: whether to normalise by the batch's own statistics.
      stride: stride of the last unit.
      rate: atrous rate of all units.
      scope: name of the block in the graph; the units of all blocks have the same names.

    Yields:
      [N, H, W, D] per unit; the last is [N, ceil(H/stride), ceil(W/stride), D].
    """
    for unit in units:
        unit_stride = stride if unit is units[-1] else 1
        # `as scope`: the full name re-enters the same scope, a short name a new scope.
        with tf.name_scope(scope) if scope else contextlib.nullcontext() as scope:
            net = unit(net, training=training, stride=unit_stride, rate=rate)
        yield net


class ResNetV2(Trunk):
    """ResNet-v2 up to block 3: `trunk(images)` -> [B, ceil(H/s), ceil(W/s), C] float32.

    The output is the raw sum of the last unit of block 3, without Slim's `postnorm`. The
    candidate units are the residual units of block 3. At output stride 32 only the last
    of them has that stride; the others have 16.

    Args:
      config: None for the default `TrunkConfig`.

    Attributes:
      block1, block2, block3: residual units of each block.
    """

    title = "ResNet-v2 to block 3"
    depths = DEPTHS
    combined_strides = (8, 16)

    def __init__(self, config: TrunkConfig | None = None, name: str = "trunk") -> None:
        super().__init__(TrunkConfig() if config is None else config, name)
        depth = DEPTHS[self.config.depth]
        self.conv1 = Conv2D(
            depth.root,
            7,
            self.config.weight_decay,
            dtype=self.config.dtype_policy,
            name="conv1",
        )
        widths = [depth.root] + [EXPANSION * width for width in depth.bottlenecks]
        with tf.name_scope(name):
            build_sublayer(self.conv1, [None, None, None, 3])
            self.block1 = build_block(self.config, 0, widths[0])
            self.block2 = build_block(self.config, 1, widths[1])
            self.block3 = build_block(self.config, 2, widths[2])
        self.built = True

    @classmethod
    def output_channels(cls, depth: str) -> int:
        """Returns the channels of block 3's output."""
        return EXPANSION * DEPTHS[depth].bottlenecks[2]

    @classmethod
    def build_tail(cls, config: TrunkConfig, name: str = "block4") -> Tail:
        """Builds block 4."""
        # Block 4 imports this module.
        from selfsup.trunk.block4 import Block4

        return Block4(config, name)

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The names of the residual units of block 3."""
        return tuple(f"block3/{unit.name}" for unit in self.block3)

    def run_units(
        self, images: tf.Tensor, training: bool, output_stride: int
    ) -> tuple[Iterator[tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
        """Runs root and blocks 1 and 2, then block 3 in phases; see the base class."""
        blocks = block_geometries(output_stride)
        net = self.conv1(2.0 * images - 1.0, stride=2)
        net = tf.nn.max_pool2d(net, 3, 2, padding="SAME")
        for number, units in enumerate((self.block1, self.block2), start=1):
            stride, scope = blocks[number - 1].stride, f"block{number}"
            *_, net = run_block(units, net, training, stride, scope=scope)
        space = SpaceToBatch(net, blocks[2].rate, self.config.phases)
        net = space.enter(net)
        outputs = run_block(
            self.block3, net, training, blocks[2].stride, space.rate, "block3"
        )
        return outputs, space.leave
