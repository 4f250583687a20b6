"""DenseNet-121, 169 and 201 up to their last dense block.

Paper section 7 proposes deeper networks, "ResNet-152, DenseNet and beyond". Huang, Liu,
van der Maaten & Weinberger, "Densely Connected Convolutional Networks" (CVPR 2017). At
output strides 8 and 16, transitions average with stride 1, and the dense blocks after
them are atrous.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, SpaceToBatch, build_sublayer
from selfsup.trunk.trunk import Trunk, TrunkConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_EPSILON = 1.001e-5
# Mean and standard deviation of ImageNet's RGB values in [0, 1], which the published
# weights expect.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
# Channels of the 1x1 convolution of a dense layer per channel of its output.
_BOTTLENECK = 4
# Stride of the first convolution and max pooling together.
_ROOT_STRIDE = 4


@dataclasses.dataclass(frozen=True)
class Depth:
    """A row of the depth table.

    Attributes:
      root: channels of the first convolution.
      growth: channels that each dense layer adds.
      layers: number of dense layers in each of the four blocks.
    """

    root: int
    growth: int
    layers: tuple[int, int, int, int]


DEPTHS = {
    "121": Depth(root=64, growth=32, layers=(6, 12, 24, 16)),
    "169": Depth(root=64, growth=32, layers=(6, 12, 32, 32)),
    "201": Depth(root=64, growth=32, layers=(6, 12, 48, 32)),
    "tiny": Depth(root=16, growth=12, layers=(2, 2, 3, 5)),
}


class PreactivatedConvs(keras.layers.Layer):
    """Batch normalisation, ReLU and convolution, once for each given width.

    Args:
      filters: output channels of each convolution.
      kernel_sizes: kernel size of each convolution.
      config: of the trunk.
      name: name of the layer.
    """

    def __init__(
        self,
        filters: Sequence[int],
        kernel_sizes: Sequence[int],
        config: TrunkConfig,
        name: str,
    ) -> None:
        super().__init__(dtype=config.dtype_policy, name=name)
        policy = config.dtype_policy
        self.norms = [
            BatchNorm(epsilon=_EPSILON, dtype=policy, name=f"norm{number}")
            for number in range(1, len(filters) + 1)
        ]
        self.convs = [
            Conv2D(
                width,
                size,
                config.weight_decay,
                use_bias=False,
                dtype=policy,
                name=f"conv{number}",
            )
            for number, (width, size) in enumerate(zip(filters, kernel_sizes), start=1)
        ]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates all variables for inputs of the static shape [N, H, W, C]."""
        shape = tf.TensorShape(input_shape).as_list()
        for norm, conv in zip(self.norms, self.convs):
            build_sublayer(norm, shape)
            build_sublayer(conv, shape)
            shape[-1] = conv.filters
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool = False, rate: int = 1
    ) -> tf.Tensor:
        """Maps [N, H, W, C] to [N, H, W, D] at an atrous rate."""
        net = inputs
        for norm, conv in zip(self.norms, self.convs):
            net = conv(tf.nn.relu(norm(net, training=training)), rate=rate)
        return net


class DenseNet(Trunk):
    """DenseNet up to the last dense block, neither normalised nor rectified.

    The candidate units are the dense layers of the last block. The output of a unit is
    everything that the block has computed up to there, with zeros in place of the
    channels that later layers will add. A weighted sum of units is therefore the output
    of the block with a weight for each dense layer's channels.

    Attributes:
      conv1, norm1: the first convolution and its normalisation.
      block1, block2, block3, block4: dense layers of each block.
      transitions: the layers between two blocks.
    """

    title = "DenseNet to the last dense block"
    depths = DEPTHS

    def __init__(self, config: TrunkConfig, name: str = "trunk") -> None:
        super().__init__(config, name)
        depth, policy = DEPTHS[config.depth], config.dtype_policy
        self.conv1 = Conv2D(
            depth.root,
            7,
            config.weight_decay,
            use_bias=False,
            dtype=policy,
            name="conv1",
        )
        self.norm1 = BatchNorm(epsilon=_EPSILON, dtype=policy, name="norm1")
        self.transitions: list[PreactivatedConvs] = []
        with tf.name_scope(name):
            build_sublayer(self.conv1, [None, None, None, 3])
            build_sublayer(self.norm1, [None, None, None, depth.root])
            self.block1 = self._build_block(1)
            self.block2 = self._build_block(2)
            self.block3 = self._build_block(3)
            self.block4 = self._build_block(4)
        self.built = True

    def _build_block(self, number: int) -> list[PreactivatedConvs]:
        """Builds the transition before a block, and returns its dense layers."""
        depth = DEPTHS[self.config.depth]
        before, channels, _ = _block_channels(depth)[number - 1]
        if number > 1:
            name = f"transition{number - 1}"
            transition = PreactivatedConvs([channels], [1], self.config, name)
            build_sublayer(transition, [None, None, None, before])
            self.transitions.append(transition)
        layers = []
        with tf.name_scope(f"block{number}"):
            for index in range(1, depth.layers[number - 1] + 1):
                layer = PreactivatedConvs(
                    [_BOTTLENECK * depth.growth, depth.growth],
                    [1, 3],
                    self.config,
                    f"layer_{index}",
                )
                build_sublayer(layer, [None, None, None, channels])
                channels += depth.growth
                layers.append(layer)
        return layers

    @classmethod
    def output_channels(cls, depth: str) -> int:
        """Returns the channels of block 4's output."""
        return _block_channels(DEPTHS[depth])[-1][-1]

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The names of the dense layers of block 4."""
        return tuple(f"block4/{layer.name}" for layer in self.block4)

    def run_units(
        self, images: tf.Tensor, training: bool, output_stride: int
    ) -> tuple[Iterator[tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
        """Runs root and blocks 1 to 3, then block 4 in phases; see the base class."""
        mean, deviation = (tf.constant(v, images.dtype) for v in (_MEAN, _DEVIATION))
        net = self.conv1((images - mean) / deviation, stride=2)
        net = tf.nn.relu(self.norm1(net, training=training))
        # Keras pads by one pixel on every side; zeros do not change a maximum of ReLUs.
        net = tf.pad(net, [[0, 0], [1, 1], [1, 1], [0, 0]])
        net = tf.nn.max_pool2d(net, 3, 2, "VALID")
        stride, rate = _ROOT_STRIDE, 1
        blocks = (self.block1, self.block2, self.block3)
        for number, (block, transition) in enumerate(zip(blocks, self.transitions), 1):
            space = SpaceToBatch(net, rate, self.config.phases)
            net = space.enter(net)
            *_, net = _run_block(block, net, training, space.rate, f"block{number}")
            net = transition(space.leave(net), training=training)
            if stride < output_stride:
                net = tf.nn.avg_pool2d(net, 2, 2, "SAME")
                stride *= 2
            else:
                net = _atrous_average(net, rate)
                rate *= 2
        space = SpaceToBatch(net, rate, self.config.phases)
        outputs = _run_block(
            self.block4, space.enter(net), training, space.rate, "block4"
        )
        return (_widen(net, self.channels) for net in outputs), space.leave

    def keras_layers(self) -> dict[str, keras.layers.Layer]:
        """The layers by their names in `keras.applications`; see the base class."""
        layers = {"conv1/conv": self.conv1, "conv1/bn": self.norm1}
        blocks = (self.block1, self.block2, self.block3, self.block4)
        for number, block in enumerate(blocks, start=2):
            for index, layer in enumerate(block, start=1):
                scope = f"conv{number}_block{index}"
                layers.update({f"{scope}_{k}_bn": n for k, n in enumerate(layer.norms)})
                layers.update(
                    {f"{scope}_{k}_conv": c for k, c in enumerate(layer.convs, start=1)}
                )
        for number, transition in enumerate(self.transitions, start=2):
            layers[f"pool{number}_bn"] = transition.norms[0]
            layers[f"pool{number}_conv"] = transition.convs[0]
        return layers


def _block_channels(depth: Depth) -> list[tuple[int, int, int]]:
    """Channels of each block: before its transition, of its input, of its output."""
    rows = []
    before = channels = depth.root
    for count in depth.layers:
        rows.append((before, channels, channels + count * depth.growth))
        before = rows[-1][-1]
        # A transition halves the channels.
        channels = before // 2
    return rows


def _run_block(
    layers: Sequence[PreactivatedConvs],
    net: tf.Tensor,
    training: bool,
    rate: int,
    scope: str,
) -> Iterator[tf.Tensor]:
    """Runs a dense block and yields the concatenated channels after each layer."""
    for layer in layers:
        with tf.name_scope(scope):
            added = layer(net, training=training, rate=rate)
        net = tf.concat([tf.cast(net, added.dtype), added], axis=-1)
        yield net


def _widen(net: tf.Tensor, channels: int) -> tf.Tensor:
    """Appends channels of zeros: [N, H, W, C] -> [N, H, W, channels]."""
    missing = channels - net.shape[-1]
    return tf.pad(net, [[0, 0], [0, 0], [0, 0], [0, missing]]) if missing else net


def _atrous_average(net: tf.Tensor, rate: int) -> tf.Tensor:
    """Averages 2x2 positions that are `rate` pixels apart, at stride 1.

    Positions outside of the map are left out of the average.

    Args:
      net: [N, H, W, C].
      rate: distance of the positions.

    Returns:
      [N, H, W, C].
    """
    if rate == 1:
        return tf.nn.avg_pool2d(net, 2, 1, "SAME")

    def total(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, [[0, 0], [0, rate], [0, rate], [0, 0]])
        rows = padded[:, :-rate] + padded[:, rate:]
        return rows[:, :, :-rate] + rows[:, :, rate:]

    return total(net) / total(tf.ones_like(net[:1, :, :, :1]))
