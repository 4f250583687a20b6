"""The depth network: the trunk at stride 16, then three up-projections (section 5)."""

import tensorflow as tf

from eval.nyuv2_depth.up_projection import UpProjection
from selfsup.keras import keras
from selfsup.trunk.layers import BatchNorm, Conv2D, build_sublayer

OUTPUT_STRIDE = 16
# Input pixels per pixel of the depth map: three levels double the trunk's resolution.
DEPTH_STRIDE = 2


class DepthDecoder(keras.layers.Layer):
    """Block 3 features, raw sums [N, h, w, C] -> depth [N, 8h, 8w, 1] in metres.

    The features are normalised and rectified first, as TF-Slim does behind its last
    unit; they go "directly into the up-projection layers": Laina et al.'s 1x1
    convolution before those is not there.

    Args:
      channels: of the up-projections.
      dropout: share of the last map that is dropped in training.
    """

    def __init__(self, channels, dropout, name="decoder", **kwargs):
        super().__init__(name=name, **kwargs)
        self.channels = tuple(channels)
        self.dropout = dropout
        self.postnorm = BatchNorm(name="postnorm")
        self.levels = [
            UpProjection(width, name=f"up_projection{number}")
            for number, width in enumerate(self.channels, start=1)
        ]
        self.depth = Conv2D(1, 3, 0.0, name="depth")

    def build(self, input_shape):
        shape = [None, None, None, input_shape[-1]]
        build_sublayer(self.postnorm, shape)
        for level in self.levels:
            build_sublayer(level, shape)
            shape[-1] = level.channels
        build_sublayer(self.depth, shape)
        super().build(input_shape)

    def call(self, features, training=False, seed=None):
        """Depth maps.

        Args:
          features: [N, h, w, C].
          training: whether batch statistics normalise.
          seed: int32 [2] of the dropout; nothing is dropped when None.
        """
        net = tf.nn.relu(self.postnorm(features, training=training))
        for level in self.levels:
            net = level(net, training=training)
        if seed is not None and self.dropout:
            net = tf.nn.experimental.stateless_dropout(net, self.dropout, seed)
        return self.depth(net)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": list(self.channels),
            "dropout": self.dropout,
        }


class DepthNetwork(tf.Module):
    """Depth in metres of images: the trunk's features, decoded."""

    def __init__(self, features, channels, dropout):
        """
        Args:
          features: a `TrunkFeatures`.
          channels: of the up-projections.
          dropout: see `DepthDecoder`.
        """
        super().__init__(name="depth_network")
        self.features = features
        self.decoder = DepthDecoder(channels, dropout)
        build_sublayer(self.decoder, [None, None, None, features.trunk.channels])

    def __call__(self, images, training=False, output_stride=OUTPUT_STRIDE, seed=None):
        """Images float32 [B, H, W, 3] in [0, 1] -> float32 [B, H/2, W/2] in metres.

        Args:
          images: sides are multiples of 16. (Where the trunk's map reached beyond the
            image, depth would have no meaning, and what is trained beside it another
            one than in images of other sizes.)
          training: whether batch statistics normalise.
          output_stride: of the trunk.
          seed: int32 [2] of the dropout; nothing is dropped when None.
        """
        features = self.features(images, training, output_stride)
        return self.decoder(features, training=training, seed=seed)[..., 0]

    def trained_variables(self):
        """All that training updates: trunk, decoder, the row of alpha."""
        return [
            *self.features.trunk.trainable_variables,
            *self.decoder.trainable_variables,
            *self.features.alpha_variables(),
        ]

    def kernels(self):
        """Those of them that weight decay is for: the kernels of all convolutions."""
        return [one for one in self.trained_variables() if one.shape.rank == 4]
