"""Dynamic weights of tasks, which act on their learning rates (paper section 7).

Publications multiply the losses by weights, and one optimizer takes the sum. Here each
task has an RMSProp of its own, whose update does not change when the loss is multiplied by
a constant (paper section 4). A weight of a loss would therefore have no effect. What the
weight of a loss does under plain gradient descent, a factor of the learning rate does
here: the task's update is multiplied by it. The mean of the factors over the tasks is 1,
so that the methods only redistribute.

For the same reason a method may use nothing that depends on the scale of a loss: losses are
divided by the task's loss at the beginning, and updates take the place of gradients.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Iterable
from typing import Callable

import numpy as np
import tensorflow as tf

from selfsup.hybrid.placement import local_cpu

# The loss at the beginning of a task is the mean over its first steps, in which the
# learning rate warms up. Until all tasks have taken them, all factors are 1.
INITIAL_STEPS = 20
# A task is never slowed down or accelerated more than this before the mean becomes 1, so
# that no task stops.
MAX_LOG_WEIGHT = math.log(10.0)


@dataclasses.dataclass(frozen=True)
class StepReport:
    """What a weighting sees of a step.

    Attributes:
      loss: the task's loss without regularisation, finite.
      learning_rate: the rate with which the step was applied, factor included.
      update_norm: computes the L2 norm of the task's last update of the trunk's kernels.
    """

    loss: float
    learning_rate: float
    update_norm: Callable[[], float]


class Weighting(tf.Module, abc.ABC):
    """Factors of the tasks' learning rates, which follow from the steps reported so far.

    All state is in float64 variables in this process, which checkpoints contain. Tasks that
    take turns report each step before the next begins, so that a run is reproducible.
    With groups side by side, the factor of a step follows from the reports until then.

    Attributes:
      tasks: names of the tasks.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        """Starts with the factor 1 for every task.

        Args:
          tasks: names of the tasks.
        """
        super().__init__(name="weighting")
        self.tasks = tuple(tasks)
        self._steps = self._numbers()
        self._initial_sums = self._numbers()
        self._log_weights = self._numbers()

    def factor(self, task: str) -> float:
        """Returns what multiplies the task's learning rate; the mean over tasks is 1."""
        weights = {
            name: math.exp(float(number.numpy()))
            for name, number in self._log_weights.items()
        }
        return weights[task] * len(weights) / sum(weights.values())

    def observe(self, task: str, report: StepReport) -> None:
        """Takes in a step, which may change the factors of all tasks.

        Args:
          task: name of the task that took the step.
          report: the step.
        """
        count = int(self._steps[task].numpy()) + 1
        self._steps[task].assign(count)
        if count <= INITIAL_STEPS:
            self._initial_sums[task].assign_add(report.loss)
        elif all(steps.numpy() >= INITIAL_STEPS for steps in self._steps.values()):
            initial = float(self._initial_sums[task].numpy()) / INITIAL_STEPS
            if initial > 0:
                self._update(task, count, report.loss / initial, report)

    @abc.abstractmethod
    def _update(
        self, task: str, count: int, relative_loss: float, report: StepReport
    ) -> None:
        """Changes the log weights after a step, once all tasks have an initial loss.

        Args:
          task: name of the task that took the step.
          count: number of the task's steps so far, this one included.
          relative_loss: the loss divided by the task's initial loss.
          report: the step.
        """

    def _set_log_weight(self, task: str, value: float) -> None:
        bounded = float(np.clip(value, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT))
        self._log_weights[task].assign(bounded)

    def _numbers(self) -> dict[str, tf.Variable]:
        """Makes a float64 variable for each task, 0 at first."""
        with tf.device(local_cpu()):
            return {
                task: tf.Variable(0.0, trainable=False, dtype=tf.float64)
                for task in self.tasks
            }
