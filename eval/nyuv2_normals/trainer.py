"""The loss of surface normals and its training step."""

from __future__ import annotations

import math

import tensorflow as tf

from eval.nyuv2_depth.trainer import DenseTrainer
from eval.nyuv2_normals.augmentation import augment
from eval.nyuv2_normals.config import Config
from eval.nyuv2_normals.network import NormalsNetwork


def cosine_loss(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Mean of 1 minus the cosine of the angle (Eigen & Fergus, ICCV 2015, section 4.2).

    Args:
      predicted: float32 [B, H, W, 3], unit vectors.
      truth: float32 [B, H, W, 3], unit vectors; pixels of 0 do not count.

    Returns:
      float32 scalar in [0, 2]; 0 without any known normal.
    """
    known = _known(truth)
    # The product is 0 where the truth is unknown.
    cosines = tf.reduce_sum(predicted * truth, axis=-1)
    return tf.math.divide_no_nan(tf.reduce_sum(known - cosines), tf.reduce_sum(known))


def share_within(predicted: tf.Tensor, truth: tf.Tensor, degrees: float) -> tf.Tensor:
    """Share of known pixels whose angle is less than `degrees`: float32 scalar.

    Args:
      predicted, truth: see `cosine_loss`.
      degrees: the largest angle, up to 90.
    """
    known = _known(truth)
    cosines = tf.reduce_sum(predicted * truth, axis=-1)
    near = tf.cast(cosines > math.cos(math.radians(degrees)), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(near * known), tf.reduce_sum(known))


def _known(truth: tf.Tensor) -> tf.Tensor:
    """1 where a normal is known and 0 elsewhere: float32 [B, H, W]."""
    return tf.cast(tf.reduce_any(truth != 0, axis=-1), tf.float32)


class NormalsTrainer(DenseTrainer):
    """Trains a network to predict surface normals."""

    def __init__(self, network: NormalsNetwork, config: Config, seed: int) -> None:
        """
        Args:
          network, config, seed: see `DenseTrainer`.
        """
        super().__init__(network, config, seed)
        self._normals_config = config

    def augment(
        self, examples: dict[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Crops photos and normals, see `augmentation.augment`.

        Args:
          examples: "image" uint8 [B, H, W, 3] and "normals" float32 [B, H, W, 3].
          seed: int32 [2].
        """
        return augment(
            examples["image"], examples["normals"], self._normals_config, seed
        )

    def loss(self, predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        """Mean of 1 minus the cosine, see `cosine_loss`."""
        return cosine_loss(predicted, truth)

    def scores(self, predicted: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        """The headline metric, "within_11.25"."""
        return {"within_11.25": share_within(predicted, truth, 11.25)}
