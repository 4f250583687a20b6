"""VGG-16 and VGG-19 up to their last convolution.

Paper section 7 proposes it as a network "where consecutive layers are less correlated"
than in a ResNet. Simonyan & Zisserman, "Very Deep Convolutional Networks for
Large-Scale Image Recognition" (ICLR 2015). The fully connected layers are left out. At
output stride 8, the pooling before block 5 has stride 1, and block 5 is atrous with
rate 2.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from selfsup.trunk.layers import Conv2D, SpaceToBatch, build_sublayer
from selfsup.trunk.trunk import Trunk, TrunkConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from selfsup.keras import keras

# Mean colour of ImageNet in RGB, which the published weights expect to be subtracted.
_MEAN = (123.68, 116.779, 103.939)
# Inputs are divided by this number, so that they are in about [-1, 1]; it is a power of
# two, so that published weights stay exact.
_SCALE = 128.0
# The first of the two blocks whose convolutions are the candidate units.
_UNITS_FROM = 4


@dataclasses.dataclass(frozen=True)
class Depth:
    """A row of the depth table.

    Attributes:
      channels: output channels of the convolutions of blocks 1 to 5; blocks 4 and 5
        have the same.
      convs: number of convolutions in each block.
    """

    channels: tuple[int, int, int, int, int]
    convs: tuple[int, int, int, int, int]


DEPTHS = {
    "16": Depth(channels=(64, 128, 256, 512, 512), convs=(2, 2, 3, 3, 3)),
    "19": Depth(channels=(64, 128, 256, 512, 512), convs=(2, 2, 4, 4, 4)),
    "tiny": Depth(channels=(12, 24, 48, 96, 96), convs=(1, 1, 1, 2, 2)),
}


class Vgg(Trunk):
    """VGG up to the last convolution and its ReLU.

    The candidate units are the convolutions of blocks 4 and 5 after their ReLUs. Where
    the output stride is larger than that of a block, they are max-pooled to it.

    Attributes:
      convs: all convolutions, in order.
    """

    title = "VGG to the last convolution"
    depths = DEPTHS

    def __init__(self, config: TrunkConfig, name: str = "trunk") -> None:
        super().__init__(config, name)
        depth = DEPTHS[config.depth]
        inputs = 3
        self.convs: list[Conv2D] = []
        with tf.name_scope(name):
            for block, (channels, count) in enumerate(
                zip(depth.channels, depth.convs), start=1
            ):
                for number in range(1, count + 1):
                    conv = Conv2D(
                        channels,
                        3,
                        config.weight_decay,
                        dtype=config.dtype_policy,
                        name=f"block{block}_conv{number}",
                    )
                    build_sublayer(conv, [None, None, None, inputs])
                    self.convs.append(conv)
                    inputs = channels
        self.built = True

    @classmethod
    def output_channels(cls, depth: str) -> int:
        """Returns the channels of block 5."""
        return DEPTHS[depth].channels[-1]

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The names of the convolutions of blocks 4 and 5."""
        first = sum(DEPTHS[self.config.depth].convs[: _UNITS_FROM - 1])
        return tuple(conv.name for conv in self.convs[first:])

    def run_units(
        self, images: tf.Tensor, training: bool, output_stride: int
    ) -> tuple[Iterator[tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
        """Runs all blocks; see the base class."""
        del training  # There is no batch normalisation.
        net = (255.0 * images - tf.constant(_MEAN, images.dtype)) / _SCALE
        return self._outputs(net, output_stride), tf.identity

    def _outputs(self, net: tf.Tensor, output_stride: int) -> Iterator[tf.Tensor]:
        """Yields the candidate units at the output stride."""
        convs = iter(self.convs)
        stride, rate = 1, 1
        for block, count in enumerate(DEPTHS[self.config.depth].convs, start=1):
            if block > 1 and stride < output_stride:
                net = tf.nn.max_pool2d(net, 2, 2, "SAME")
                stride *= 2
            elif block > 1:
                net = tf.nn.max_pool2d(net, 2, 1, "SAME")
                rate *= 2
            space = SpaceToBatch(net, rate, self.config.phases)
            net = space.enter(net)
            for _ in range(count):
                net = tf.nn.relu(next(convs)(net, rate=space.rate))
                if block >= _UNITS_FROM:
                    yield _pooled(space.leave(net), output_stride // stride)
            net = space.leave(net)

    def keras_layers(self) -> dict[str, keras.layers.Layer]:
        """The layers by their names in `keras.applications`; see the base class."""
        return {conv.name: conv for conv in self.convs}

    def convert_keras_weights(
        self, name: str, weights: list[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """Converts the first kernel, which reads BGR in [0, 255] in Keras, to RGB."""
        if name != self.convs[0].name:
            return weights
        kernel, bias = weights
        return [kernel[:, :, ::-1] * np.float32(_SCALE), bias]


def _pooled(net: tf.Tensor, factor: int) -> tf.Tensor:
    """Max-pools windows of factor x factor pixels."""
    return tf.nn.max_pool2d(net, factor, factor, "SAME") if factor > 1 else net
