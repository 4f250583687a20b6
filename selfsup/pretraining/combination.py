"""The weights alpha of equation 1 and their penalties (paper sections 3.2 and 7).

The L1 penalty (lasso) drops single units. The group penalty drops whole blocks of units
(Yuan & Lin, "Model selection and estimation in regression with grouped variables", 2006);
both together are the sparse-group lasso (Simon, Friedman, Hastie & Tibshirani, "A
Sparse-Group Lasso", 2013). The trunk computes the weighted sum of its units.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras


class Combination(keras.layers.Layer):
    """The matrix alpha: for each task, the weights of the M units that its head reads.

    A row is `raw / ||raw||`, so its L2 norm is always 1. Every entry starts at
    1 / sqrt(M): no unit is favoured, and no entry has to cross zero, where the L1
    penalty would hold it. Each row is a separate variable, so the optimizer of a task
    changes only the row of that task.

    Attributes:
      tasks: names of the rows.
      num_units: M.
      l1: factor of the L1 penalty.
      group: factor of the group penalty.
      group_units: number of consecutive units in a block.
    """

    def __init__(
        self,
        tasks: Iterable[str],
        num_units: int,
        l1: float = 0.0,
        group: float = 0.0,
        group_units: int = 4,
        name: str = "combination",
        **kwargs: Any,
    ) -> None:
        """Creates the rows.

        Args:
          tasks: names of the rows.
          num_units: M, 1 or more.
          l1: factor of the L1 penalty, 0 or more.
          group: factor of the group penalty, 0 or more.
          group_units: number of consecutive units in a block, 1 or more. The first block
            begins at the shallowest unit; the last has the remaining units.
          name: see `keras.layers.Layer`.
          **kwargs: see `keras.layers.Layer`.

        Raises:
          UserError: if a number is out of range.
        """
        super().__init__(name=name, **kwargs)
        if num_units < 1 or l1 < 0:
            raise UserError(
                "the combination needs at least one unit and a lasso weight of 0 or "
                f"more; received {num_units} units and weight {l1}"
            )
        if group_units < 1 or group < 0:
            raise UserError(
                "the group penalty needs blocks of at least one unit and a weight of 0 "
                f"or more; received blocks of {group_units} and weight {group}"
            )
        self.tasks = tuple(tasks)
        self.num_units = num_units
        self.l1 = l1
        self.group = group
        self.group_units = group_units
        # Any equal entries would do; with these the raw row equals the row of alpha.
        initializer = keras.initializers.Constant(num_units**-0.5)
        with tf.name_scope(name):
            self._raw = {
                task: self.add_weight(
                    name=task, shape=[num_units], initializer=initializer
                )
                for task in self.tasks
            }

    def variable(self, task: str) -> tf.Variable:
        """Returns the raw row of a task, float32 [M], before its L2 norm is set to 1.

        Raises:
          UserError: if there is no row of this name.
        """
        if task not in self._raw:
            raise UserError(f"no row for {task!r}; rows are: {', '.join(self.tasks)}")
        return self._raw[task]

    def row(self, task: str) -> tf.Tensor:
        """Returns alpha of a task: float32 [M] of L2 norm 1, entries of either sign."""
        return tf.math.l2_normalize(self.variable(task), epsilon=1e-24)

    def penalty(self, task: str) -> tf.Tensor:
        """Returns the scalar penalty on the row of a task, for the task's loss.

        It is `l1` times the L1 norm, plus `group` times the sum over the blocks of
        sqrt(number of units) times the L2 norm of the block.
        """
        row = self.row(task)
        penalty = self.l1 * tf.reduce_sum(tf.abs(row))
        if not self.group:
            return penalty
        return penalty + self.group * tf.add_n(self._block_norms(row))

    def _block_norms(self, row: tf.Tensor) -> list[tf.Tensor]:
        """The L2 norm of each block of a row, times the root of its number of units."""
        blocks = [
            row[first : first + self.group_units]
            for first in range(0, self.num_units, self.group_units)
        ]
        # The small term makes the gradient of an empty block zero instead of NaN.
        return [
            block.shape[0] ** 0.5 * tf.sqrt(tf.reduce_sum(tf.square(block)) + 1e-24)
            for block in blocks
        ]

    def alpha(self) -> tf.Tensor:
        """Returns all rows: float32 [N, M]."""
        return tf.stack([self.row(task) for task in self.tasks])

    def get_config(self) -> dict[str, Any]:
        """See `keras.layers.Layer`."""
        return {
            **super().get_config(),
            "tasks": list(self.tasks),
            "num_units": self.num_units,
            "l1": self.l1,
            "group": self.group,
            "group_units": self.group_units,
        }
