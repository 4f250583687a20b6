"""Features that an evaluation reads: the last unit, or a lasso combination."""

from __future__ import annotations

import tensorflow as tf

from selfsup.pretraining.combination import Combination
from selfsup.trunk.trunk import Trunk


def trunk_input(images: tf.Tensor) -> tf.Tensor:
    """Converts uint8 images to the trunk's input: float32 in [0, 1], the same shape."""
    return tf.cast(images, tf.float32) / 255.0


class TrunkFeatures(tf.Module):
    """Features of images (paper section 5).

    Without the lasso, the features are the output of the trunk's last unit. With the
    lasso, they are the sum of all units weighted by the evaluation's own row of alpha
    (section 3.2, "a similar alpha matrix for the set of evaluation tasks").

    Attributes:
      trunk: the trunk.
      combination: the matrix alpha of one row, or None without the lasso.
    """

    def __init__(self, trunk: Trunk, evaluation: str, lasso: float) -> None:
        """
        Args:
          trunk: the trunk.
          evaluation: name of the evaluation, which names the row of alpha.
          lasso: weight of the L1 penalty on the row; 0 reads the last unit.
        """
        super().__init__(name="trunk_features")
        self.trunk = trunk
        self.combination: Combination | None = None
        self._evaluation = evaluation
        if lasso:
            self.combination = Combination([evaluation], trunk.num_units, l1=lasso)

    def __call__(
        self,
        images: tf.Tensor,
        training: bool = False,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Computes the features of images.

        Args:
          images: float32 [B, H, W, 3] in [0, 1].
          training: whether batch normalisation uses the statistics of the batch.
          output_stride: output stride s, or None for the trunk's own.

        Returns:
          float32 [B, H / s, W / s, C].
        """
        return self.trunk(
            images,
            training=training,
            output_stride=output_stride,
            unit_weights=self.unit_weights(),
        )

    def unit_weights(self) -> tf.Tensor | None:
        """The row of alpha, float32 [M] of L2 norm 1, or None without the lasso."""
        if self.combination is None:
            return None
        return self.combination.row(self._evaluation)

    def penalty(self) -> tf.Tensor:
        """The L1 penalty on the row, a float32 scalar; 0 without the lasso."""
        if self.combination is None:
            return tf.constant(0.0)
        return self.combination.penalty(self._evaluation)

    def alpha_variables(self) -> list[tf.Variable]:
        """The variable that the row is computed from; empty without the lasso."""
        if self.combination is None:
            return []
        return [self.combination.variable(self._evaluation)]

    def alpha(self) -> list[float] | None:
        """The row as floats for metrics.json, or None without the lasso."""
        weights = self.unit_weights()
        return None if weights is None else [float(a) for a in weights.numpy()]
