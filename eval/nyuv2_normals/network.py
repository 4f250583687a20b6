"""The network of surface normals: that of depth with three channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from eval.nyuv2_depth.network import DenseDecoder, DenseNetwork
from eval.trunk_features import TrunkFeatures
from selfsup.keras import keras
from selfsup.trunk.layers import Conv2D


class NormalsDecoder(DenseDecoder):
    """Maps trunk features to vectors [N, 8h, 8w, 3] of any length.

    Args:
      channels, dropout: see `DenseDecoder`.
    """

    def __init__(self, channels: Sequence[int], dropout: float, **kwargs: Any) -> None:
        super().__init__(channels, dropout, **kwargs)
        self.normals = Conv2D(3, 3, 0.0, name="normals")

    @property
    def last(self) -> keras.layers.Layer:
        """The convolution to normals."""
        return self.normals


class NormalsNetwork(DenseNetwork):
    """Predicts normals, unit vectors float32 [B, H / 2, W / 2, 3]."""

    def __init__(
        self, features: TrunkFeatures, channels: Sequence[int], dropout: float
    ) -> None:
        """
        Args:
          features: the features of the trunk.
          channels, dropout: see `DenseDecoder`.
        """
        super().__init__(features, NormalsDecoder(channels, dropout))

    def interpret(self, decoded: tf.Tensor) -> tf.Tensor:
        """Normalises vectors [B, h, w, 3] to unit length."""
        return tf.math.l2_normalize(decoded, axis=-1)
