"""The shared trunk: ResNet-v2 up to the end of block 3 (paper section 3.1).

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
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from selfsup.common import checks
from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk.layers import Conv2D, build_sublayer
from selfsup.trunk.residual import ResidualUnit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Output channels of a residual unit per bottleneck channel.
EXPANSION = 4
# Stride of the first convolution and max pooling together.
ROOT_STRIDE = 4
OUTPUT_STRIDES = (8, 16, 32)


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
    "tiny": Depth(root=24, units=(1, 2, 5, 1), bottlenecks=(12, 24, 48, 96)),
    "50": Depth(root=64, units=(3, 4, 6, 3), bottlenecks=(64, 128, 256, 512)),
    "101": Depth(root=64, units=(3, 4, 23, 3), bottlenecks=(64, 128, 256, 512)),
    "152": Depth(root=64, units=(3, 8, 36, 3), bottlenecks=(64, 128, 256, 512)),
}


@dataclasses.dataclass(frozen=True)
class TrunkConfig:
    """The architecture and precision of a trunk.

    Attributes:
      depth: key of `DEPTHS`.
      output_stride: input pixels per feature, 8, 16 or 32, unless a call gives its own.
      phases: whether atrous blocks run by space-to-batch where that is exact.
      mixed_precision: compute in bfloat16; weights and outputs stay float32.
      weight_decay: factor of half the squared L2 norm of all kernels.

    Raises:
      UserError: if `depth` or `output_stride` is unknown.
    """

    depth: str = "101"
    output_stride: int = 8
    phases: bool = True
    mixed_precision: bool = False
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        checks.require_choice("depth", self.depth, DEPTHS)
        check_output_stride(self.output_stride)

    @property
    def dtype_policy(self) -> str:
        """Name of the Keras dtype policy of the layers."""
        return "mixed_bfloat16" if self.mixed_precision else "float32"


def check_output_stride(output_stride: int) -> None:
    """Raises UserError unless the trunk supports this output stride."""
    checks.require_choice("output_stride", output_stride, OUTPUT_STRIDES)


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


class SpaceToBatch:
    """Runs an atrous block as dense convolutions on its phases, where that is exact.

    Space-to-batch is used if `enabled`, `rate` is above 1, and `rate` divides the
    static height and width of `net`. Otherwise `enter` and `leave` return their input.

    Args:
      net: input of the block, [N, H, W, C].
      rate: atrous rate r of the block.
      enabled: whether space-to-batch may be used.

    Attributes:
      rate: atrous rate of the convolutions between `enter` and `leave`.
    """

    def __init__(self, net: tf.Tensor, rate: int, enabled: bool) -> None:
        self._block = rate if enabled and rate > 1 and _divides(rate, net) else 1
        self.rate = 1 if self._block > 1 else rate

    def enter(self, net: tf.Tensor) -> tf.Tensor:
        """Separates the phases: [N, H, W, C] -> [r*r*N, H/r, W/r, C]."""
        if self._block == 1:
            return net
        return tf.space_to_batch(net, [self._block] * 2, [[0, 0], [0, 0]])

    def leave(self, net: tf.Tensor) -> tf.Tensor:
        """Merges the phases: [r*r*N, H/r, W/r, C] -> [N, H, W, C]."""
        if self._block == 1:
            return net
        return tf.batch_to_space(net, [self._block] * 2, [[0, 0], [0, 0]])


def _divides(rate: int, net: tf.Tensor) -> bool:
    """Whether the height and width of `net` are static multiples of `rate`."""
    height, width = net.shape[1:3]
    return bool(height and width) and height % rate == 0 and width % rate == 0


def run_units(
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


class Trunk(keras.Model):
    """ResNet-v2 up to block 3: `trunk(images)` -> [B, ceil(H/s), ceil(W/s), C] float32.

    The output is the raw sum of the last unit of block 3, without Slim's `postnorm`.

    Args:
      config: None for the default `TrunkConfig`.

    Attributes:
      block1, block2, block3: residual units of each block.
    """

    def __init__(self, config: TrunkConfig | None = None, name: str = "trunk") -> None:
        super().__init__(name=name)
        self.config = TrunkConfig() if config is None else config
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

    @property
    def num_units(self) -> int:
        """Number of residual units in block 3: M of equation (1)."""
        return len(self.block3)

    @property
    def channels(self) -> int:
        """Channels C of the block 3 output."""
        return self.block3[-1].channels

    def call(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
        unit_weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Computes the features of `images`.

        Args:
          images: float32 [B, H, W, 3] in [0, 1].
          training: whether to normalise by the batch's own statistics and update the
            moving statistics.
          output_stride: s, 8, 16 or 32; None for the config's.
          unit_weights: float32 [M], a row of alpha, or None.

        Returns:
          float32 [B, ceil(H/s), ceil(W/s), C]. Without `unit_weights`: the output of
          the last unit. With them: the sum of all unit outputs, weighted by
          `unit_weights` (equation 1).

        Raises:
          UserError: if `images` is not floating, the output stride is unknown, or
            `unit_weights` is given at output stride 32.
        """
        space, outputs = self._units(images, training, output_stride)
        if unit_weights is None:
            *_, net = outputs
            return tf.cast(space.leave(net), tf.float32)
        if self._stride(output_stride) == OUTPUT_STRIDES[-1]:
            raise UserError(
                "the units of block 3 cannot be combined at output stride 32, because "
                "only the last unit has that stride; use 8 or 16"
            )
        weights = tf.unstack(unit_weights, num=self.num_units)
        terms = zip(weights, outputs)
        net = sum(weight * tf.cast(unit, tf.float32) for weight, unit in terms)
        return space.leave(net)

    def unit_outputs(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> list[tf.Tensor]:
        """Computes the raw outputs of all units of block 3, shallowest first.

        Args:
          images, training, output_stride: see `call`.

        Returns:
          M tensors, float32 [B, ceil(H/s), ceil(W/s), C]. At output stride 32, all but
          the last have stride 16.

        Raises:
          UserError: if `images` is not floating or the output stride is unknown.
        """
        space, outputs = self._units(images, training, output_stride)
        return [tf.cast(space.leave(net), tf.float32) for net in outputs]

    def _stride(self, output_stride: int | None) -> int:
        """The output stride of a call."""
        stride = self.config.output_stride if output_stride is None else output_stride
        check_output_stride(stride)
        return stride

    def _units(
        self, images: tf.Tensor, training: bool, output_stride: int | None
    ) -> tuple[SpaceToBatch, Iterator[tf.Tensor]]:
        """Runs root and blocks 1 and 2; returns an iterator over block 3.

        The outputs of block 3 are to be passed through `leave` of the `SpaceToBatch`.
        """
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise UserError(
                f"trunk images must be floats in [0, 1]; received {images.dtype.name}"
            )
        blocks = block_geometries(self._stride(output_stride))
        net = self.conv1(2.0 * images - 1.0, stride=2)
        net = tf.nn.max_pool2d(net, 3, 2, padding="SAME")
        for number, units in enumerate((self.block1, self.block2), start=1):
            stride, scope = blocks[number - 1].stride, f"block{number}"
            *_, net = run_units(units, net, training, stride, scope=scope)
        space = SpaceToBatch(net, blocks[2].rate, self.config.phases)
        net = space.enter(net)
        return space, run_units(
            self.block3, net, training, blocks[2].stride, space.rate, "block3"
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON types."""
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Trunk:
        """Builds a trunk with new weights from the result of `get_config`."""
        return cls(TrunkConfig(**config["config"]), name=config["name"])
