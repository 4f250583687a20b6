"""The weights alpha of equation 1 and their L1 penalty (lasso, paper section 3.2).

The trunk computes the weighted sum of its units.
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
    """

    def __init__(
        self,
        tasks: Iterable[str],
        num_units: int,
        l1: float = 0.0,
        name: str = "combination",
        **kwargs: Any,
    ) -> None:
        """Creates the rows.

        Args:
          tasks: names of the rows.
          num_units: M, 1 or more.
          l1: factor of the L1 penalty, 0 or more.
          name: see `keras.layers.Layer`.
          **kwargs: see `keras.layers.Layer`.

        Raises:
          UserError: if `num_units` or `l1` is out of range.
        """
        super().__init__(name=name, **kwargs)
        if num_units < 1 or l1 < 0:
            raise UserError(
                "the combination needs at least one unit and a lasso weight of 0 or "
                f"more; received {num_units} units and weight {l1}"
            )
        self.tasks = tuple(tasks)
        self.num_units = num_units
        self.l1 = l1
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
        """Returns the scalar L1 penalty on the row of a task, for the task's loss."""
        return self.l1 * tf.reduce_sum(tf.abs(self.row(task)))

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
        }
