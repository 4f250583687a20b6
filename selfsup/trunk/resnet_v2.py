"""The common trunk: ResNet-v2 to the end of block 3 (paper section 3.1).

The network is TF-Slim's `resnet_v2`, root and blocks 1 to 3, at an output stride that
is chosen at each call: the weights do not depend on it.

At stride 8 all of block 3 is atrous with rate 2. A 3x3 convolution of rate 2 only
ever reads positions of one parity, so the map falls apart into its four phases: cut
apart once before the block and put together after it, the same network runs with
ordinary dense convolutions, on the same elements batch statistics included. That is
exact only when the size is a multiple of the rate (a padded row would not stay zero
behind a batch normalisation); other sizes run dilated convolutions.
"""

import contextlib
import dataclasses

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk.layers import Conv2D, build_sublayer
from selfsup.trunk.residual import ResidualUnit

EXPANSION = 4
ROOT_STRIDE = 4
OUTPUT_STRIDES = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class Depth:
    """A row of the depth table.

    Attributes:
      root: channels of the first convolution.
      units: residual units in blocks 1 to 4.
      bottlenecks: bottleneck channels of blocks 1 to 4; outputs have 4 times more.
    """

    root: int
    units: tuple
    bottlenecks: tuple


DEPTHS = {
    "tiny": Depth(root=24, units=(1, 2, 5, 1), bottlenecks=(12, 24, 48, 96)),
    "50": Depth(root=64, units=(3, 4, 6, 3), bottlenecks=(64, 128, 256, 512)),
    "101": Depth(root=64, units=(3, 4, 23, 3), bottlenecks=(64, 128, 256, 512)),
    "152": Depth(root=64, units=(3, 8, 36, 3), bottlenecks=(64, 128, 256, 512)),
}


@dataclasses.dataclass(frozen=True)
class TrunkConfig:
    """What defines a trunk.

    Attributes:
      depth: key of `DEPTHS`.
      output_stride: input pixels per feature, 8, 16 or 32, where a call says nothing.
      phases: whether atrous blocks run by phases where that is exact.
      mixed_precision: compute in bfloat16; weights and outputs stay float32.
      weight_decay: factor of half the squared L2 norm of all kernels.
    """

    depth: str = "101"
    output_stride: int = 8
    phases: bool = True
    mixed_precision: bool = False
    weight_decay: float = 1e-4

    def __post_init__(self):
        if self.depth not in DEPTHS:
            raise UserError(
                f"unknown trunk depth {self.depth!r}; depths are: {', '.join(DEPTHS)}"
            )
        check_output_stride(self.output_stride)

    @property
    def dtype_policy(self):
        """Keras policy of the layers."""
        return "mixed_bfloat16" if self.mixed_precision else "float32"


def check_output_stride(output_stride):
    """Raises UserError unless it is a stride that the trunk can have."""
    if output_stride not in OUTPUT_STRIDES:
        raise UserError(f"output stride {output_stride!r} is none of {OUTPUT_STRIDES}")


@dataclasses.dataclass(frozen=True)
class BlockGeometry:
    """How a block runs: the stride of its last unit, and its atrous rate."""

    stride: int
    rate: int


def geometry(output_stride):
    """`BlockGeometry` of blocks 1 to 4, by Slim's rule.

    The last units of blocks 1 to 3 have stride 2 until the output stride is reached;
    from there on the stride not taken multiplies the rate of the blocks that follow.
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


def build_block(config, index, channels_in):
    """Returns block `index` (0 to 3) as a list of built units."""
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
            build_sublayer(unit, [None, None, None, channels_in])
            channels_in = EXPANSION * bottleneck
            units.append(unit)
    return units


def _divides(rate, net):
    height, width = net.shape[1:3]
    return bool(height and width) and height % rate == 0 and width % rate == 0


class PhaseSpace:
    """Where an atrous block of `rate` runs on `net`: by phases, or as it is.

    Attributes:
      rate: atrous rate that is left to the convolutions.
    """

    def __init__(self, net, rate, phases):
        self._block = rate if phases and rate > 1 and _divides(rate, net) else 1
        self.rate = 1 if self._block > 1 else rate

    def enter(self, net):
        """[N, H, W, C] -> [r*r*N, H/r, W/r, C]."""
        if self._block == 1:
            return net
        return tf.space_to_batch(net, [self._block] * 2, [[0, 0], [0, 0]])

    def leave(self, net):
        """[r*r*N, H/r, W/r, C] -> [N, H, W, C]."""
        if self._block == 1:
            return net
        return tf.batch_to_space(net, [self._block] * 2, [[0, 0], [0, 0]])


def run_units(units, net, training, stride=1, rate=1, scope=None):
    """Yields the raw output of each unit in turn; the last one has the stride.

    `scope` names the block in the graph, as blocks' units have the same names.
    """
    for unit in units:
        unit_stride = stride if unit is units[-1] else 1
        # The name that comes back enters the same scope again, not another like it.
        with tf.name_scope(scope) if scope else contextlib.nullcontext() as scope:
            net = unit(net, training=training, stride=unit_stride, rate=rate)
        yield net


class Trunk(keras.Model):
    """ResNet-v2 to block 3: `trunk(images)` -> [B, ceil(H/s), ceil(W/s), C] float32.

    The output is the raw sum that leaves block 3, without Slim's `postnorm`.

    Args:
      config: a `TrunkConfig`.
    """

    def __init__(self, config=None, name="trunk"):
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
    def num_units(self):
        """Residual units in block 3: M of equation (1)."""
        return len(self.block3)

    @property
    def channels(self):
        """Channels of the block 3 output."""
        return self.block3[-1].channels

    def call(self, images, training=False, output_stride=None, unit_weights=None):
        """Features of `images`.

        Args:
          images: float32 [B, H, W, 3] in [0, 1].
          training: whether batch statistics normalise, and move the moving ones.
          output_stride: 8, 16 or 32; the config's when None.
          unit_weights: float32 [M], a row of alpha, or None.

        Returns:
          float32 [B, ceil(H/s), ceil(W/s), C]: the last unit's output, or, given
          `unit_weights`, the sum of all unit outputs weighted by them (equation 1).
        """
        space, outputs = self._units(images, training, output_stride)
        if unit_weights is None:
            *_, net = outputs
            return tf.cast(space.leave(net), tf.float32)
        if self._stride(output_stride) == OUTPUT_STRIDES[-1]:
            raise UserError(
                "block 3 units cannot be mixed at output stride 32, where the last "
                "unit alone has that stride; use 8 or 16"
            )
        weights = tf.unstack(unit_weights, num=self.num_units)
        terms = zip(weights, outputs)
        net = sum(weight * tf.cast(unit, tf.float32) for weight, unit in terms)
        return space.leave(net)

    def unit_outputs(self, images, training=False, output_stride=None):
        """Raw outputs of all block 3 units, shallowest first.

        At output stride 32 all but the last are at stride 16.

        Args:
          images, training, output_stride: as in `call`.

        Returns:
          list of M float32 [B, ceil(H/s), ceil(W/s), C].
        """
        space, outputs = self._units(images, training, output_stride)
        return [tf.cast(space.leave(net), tf.float32) for net in outputs]

    def _stride(self, output_stride):
        stride = self.config.output_stride if output_stride is None else output_stride
        check_output_stride(stride)
        return stride

    def _units(self, images, training, output_stride):
        """Returns the space in which block 3 runs, and a generator of its units."""
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise UserError(
                f"trunk images must be floats in [0, 1]; received {images.dtype.name}"
            )
        plan = geometry(self._stride(output_stride))
        net = self.conv1(2.0 * images - 1.0, stride=2)
        net = tf.nn.max_pool2d(net, 3, 2, padding="SAME")
        for number, units in enumerate((self.block1, self.block2), start=1):
            stride, scope = plan[number - 1].stride, f"block{number}"
            *_, net = run_units(units, net, training, stride, scope=scope)
        space = PhaseSpace(net, plan[2].rate, self.config.phases)
        net = space.enter(net)
        return space, run_units(
            self.block3, net, training, plan[2].stride, space.rate, "block3"
        )

    def get_config(self):
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(TrunkConfig(**config["config"]), name=config["name"])
