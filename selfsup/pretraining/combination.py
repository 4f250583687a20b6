"""The lasso combination of block 3 units (paper section 3.2, equation 1)."""

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras


class Combination(keras.layers.Layer):
    """The matrix alpha: for each task, the weights of the M units it reads.

    Row n is `raw_n / ||raw_n||`, so its L2 norm is 1 by construction. It starts at
    1 / sqrt(M) everywhere: no unit is favoured, and none has to cross zero, where the
    L1 penalty would hold it. Each row is a variable of its own, so that a task's
    optimizer touches only its own.

    Args:
      tasks: names, one a row.
      num_units: M.
      l1: factor of the L1 penalty.
    """

    def __init__(self, tasks, num_units, l1=0.0, name="combination", **kwargs):
        super().__init__(name=name, **kwargs)
        if num_units < 1 or l1 < 0:
            raise UserError(
                "the combination needs at least one unit and a lasso weight of 0 or "
                f"more; received {num_units} units, weight {l1}"
            )
        self.tasks = tuple(tasks)
        self.num_units = num_units
        self.l1 = l1
        # Equal entries of any size; this size makes raw and alpha start alike.
        with tf.name_scope(name):
            self._raw = {
                task: self.add_weight(
                    name=task,
                    shape=[num_units],
                    initializer=keras.initializers.Constant(num_units**-0.5),
                )
                for task in self.tasks
            }

    def variable(self, task):
        """The raw variable behind the row of `task`, float32 [M]."""
        if task not in self._raw:
            raise UserError(f"no row for {task!r}; rows are: {', '.join(self.tasks)}")
        return self._raw[task]

    def row(self, task):
        """alpha of one task: float32 [M] of unit L2 norm, entries of either sign."""
        return tf.math.l2_normalize(self.variable(task), epsilon=1e-24)

    def penalty(self, task):
        """L1 penalty on the row of one task, for the loss of that task's steps."""
        return self.l1 * tf.reduce_sum(tf.abs(self.row(task)))

    def alpha(self):
        """All rows: float32 [N, M]."""
        return tf.stack([self.row(task) for task in self.tasks])

    def get_config(self):
        return {
            **super().get_config(),
            "tasks": list(self.tasks),
            "num_units": self.num_units,
            "l1": self.l1,
        }
