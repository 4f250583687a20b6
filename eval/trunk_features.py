"""What an evaluation reads from the trunk: its last unit, or a lasso combination."""

import tensorflow as tf

from selfsup.pretraining.combination import Combination


class TrunkFeatures(tf.Module):
    """Block 3 features of images (paper section 5).

    Without the lasso the output of block 3's last unit; with it, the units combined by
    the evaluation's own row of alpha (section 3.2, "a similar alpha matrix for the set
    of evaluation tasks").
    """

    def __init__(self, trunk, evaluation, lasso):
        """
        Args:
          trunk: a `Trunk`.
          evaluation: name of the row.
          lasso: weight of the L1 penalty on the row; 0 for the last unit.
        """
        super().__init__(name="trunk_features")
        self.trunk = trunk
        self.combination = None
        self._evaluation = evaluation
        if lasso:
            self.combination = Combination([evaluation], trunk.num_units, l1=lasso)

    def __call__(self, images, training=False, output_stride=None):
        """Images float32 [B, H, W, 3] in [0, 1] -> float32 [B, H / s, W / s, C].

        Args:
          images: of any size.
          training: whether batch statistics normalise.
          output_stride: the trunk's own when None.
        """
        return self.trunk(
            images,
            training=training,
            output_stride=output_stride,
            unit_weights=self.unit_weights(),
        )

    def unit_weights(self):
        """The row of alpha, float32 [M] of unit L2 norm, or None without the lasso."""
        if self.combination is None:
            return None
        return self.combination.row(self._evaluation)

    def penalty(self):
        """The L1 penalty on the row; 0 without the lasso."""
        if self.combination is None:
            return tf.constant(0.0)
        return self.combination.penalty(self._evaluation)

    def alpha_variables(self):
        """The variable behind the row, in a list; none without the lasso."""
        if self.combination is None:
            return []
        return [self.combination.variable(self._evaluation)]

    def alpha(self):
        """The row as a list of floats for metrics.json, or None."""
        weights = self.unit_weights()
        return None if weights is None else [float(a) for a in weights.numpy()]
