"""The networks that predict a map: the trunk at stride 16, then three up-projections.

Paper section 5, "NYU V2 Depth Prediction".
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from eval.nyuv2_depth.up_projection import UpProjection
from eval.trunk_features import TrunkFeatures
from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

OUTPUT_STRIDE = 16
# Input pixels per pixel of the predicted map: three levels double the trunk's resolution.
DEPTH_STRIDE = 2


class DenseDecoder(keras.layers.Layer):
    """Maps trunk features [N, h, w, C] to a map [N, 8h, 8w, D].

    A subclass makes the last convolution, to D channels, in its constructor.

    The features are normalised and rectified first, as TF-Slim does after its last unit.
    They go "directly into the up-projection layers" (section 5), so Laina et al.'s 1x1
    convolution before the up-projections is left out.

    Args:
      channels: channels of the up-projections.
      dropout: share of the last feature map that is dropped in training.
    """

    def __init__(
        self,
        channels: Sequence[int],
        dropout: float,
        name: str = "decoder",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.channels = tuple(channels)
        self.dropout = dropout
        self.postnorm = BatchNorm(name="postnorm")
        self.levels = [
            UpProjection(width, name=f"up_projection{number}")
            for number, width in enumerate(self.channels, start=1)
        ]

    @property
    def last(self) -> keras.layers.Layer:
        """The last convolution."""
        raise NotImplementedError

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the variables for an input [N, h, w, C]; only C matters."""
        shape = [None, None, None, input_shape[-1]]
        build_sublayer(self.postnorm, shape)
        for level in self.levels:
            build_sublayer(level, shape)
            shape[-1] = level.channels
        build_sublayer(self.last, shape)
        super().build(input_shape)

    def call(
        self,
        features: tf.Tensor,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Decodes features.

        Args:
          features: [N, h, w, C].
          training: whether batch normalisation uses the statistics of the batch.
          seed: int32 [2], seed of the dropout; None drops nothing.

        Returns:
          [N, 8h, 8w, D].
        """
        net = tf.nn.relu(self.postnorm(features, training=training))
        for level in self.levels:
            net = level(net, training=training)
        if seed is not None and self.dropout:
            net = tf.nn.experimental.stateless_dropout(net, self.dropout, seed)
        return self.last(net)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for Keras."""
        return {
            **super().get_config(),
            "channels": list(self.channels),
            "dropout": self.dropout,
        }


class DepthDecoder(DenseDecoder):
    """Maps trunk features to depth [N, 8h, 8w, 1] in metres.

    Args:
      channels, dropout: see `DenseDecoder`.
    """

    def __init__(self, channels: Sequence[int], dropout: float, **kwargs: Any) -> None:
        super().__init__(channels, dropout, **kwargs)
        self.depth = Conv2D(1, 3, 0.0, name="depth")

    @property
    def last(self) -> keras.layers.Layer:
        """The convolution to depth."""
        return self.depth


class DenseNetwork(tf.Module, abc.ABC):
    """The features of the trunk, decoded to a map.

    Attributes:
      features: the features of the trunk.
      decoder: the decoder.
    """

    def __init__(self, features: TrunkFeatures, decoder: DenseDecoder) -> None:
        """
        Args:
          features: the features of the trunk.
          decoder: the decoder, not built yet.
        """
        super().__init__()
        self.features = features
        self.decoder = decoder
        build_sublayer(self.decoder, [None, None, None, features.trunk.channels])

    @abc.abstractmethod
    def interpret(self, decoded: tf.Tensor) -> tf.Tensor:
        """Turns the decoder's float32 [B, h, w, D] into the prediction [B, h, w, ...]."""

    def __call__(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int = OUTPUT_STRIDE,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Predicts the map of images.

        Args:
          images: float32 [B, H, W, 3] in [0, 1]. H and W are multiples of 16: otherwise
            the trunk's map would reach beyond the image, where it has no meaning.
          training: whether batch normalisation uses the statistics of the batch.
          output_stride: output stride of the trunk.
          seed: int32 [2], seed of the dropout; None drops nothing.

        Returns:
          float32 [B, H / 2, W / 2, ...], see `interpret`.
        """
        features = self.features(images, training, output_stride)
        return self.interpret(self.decoder(features, training=training, seed=seed))

    def trained_variables(self) -> list[tf.Variable]:
        """All variables that training updates: trunk, decoder, and the row of alpha."""
        return [
            *self.features.trunk.trainable_variables,
            *self.decoder.trainable_variables,
            *self.features.alpha_variables(),
        ]

    def kernels(self) -> list[tf.Variable]:
        """The trained variables that weight decay applies to: all convolution kernels."""
        return [
            variable
            for variable in self.trained_variables()
            if variable.shape.rank == 4
        ]


class DepthNetwork(DenseNetwork):
    """Predicts depth, float32 [B, H / 2, W / 2] in metres."""

    def __init__(
        self, features: TrunkFeatures, channels: Sequence[int], dropout: float
    ) -> None:
        """
        Args:
          features: the features of the trunk.
          channels, dropout: see `DenseDecoder`.
        """
        super().__init__(features, DepthDecoder(channels, dropout))

    def interpret(self, decoded: tf.Tensor) -> tf.Tensor:
        """Removes the last axis of [B, h, w, 1]."""
        return decoded[..., 0]
