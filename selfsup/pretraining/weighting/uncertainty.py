"""Uncertainty weighting of tasks.

Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
Geometry and Semantics" (CVPR 2018).
"""

from __future__ import annotations

import math

from selfsup.pretraining.weighting.weighting import StepReport, Weighting

# Step size of gradient descent on s: it follows the loss over about 100 steps of a task.
STEP_SIZE = 0.02
# Greatest gradient of s: a single large loss changes s by at most `STEP_SIZE`.
MAX_GRADIENT = 1.0


class UncertaintyWeighting(Weighting):
    """Learns s = log(sigma^2) of each task, as published, from the relative loss.

    The published objective is the sum over the tasks of L exp(-s) / 2 + s / 2, whose
    minimum over s is at exp(s) = L. The weight exp(-s) then divides each loss by itself,
    which removes its scale. RMSProp has removed that already. What remains is the change
    since the beginning, so L is the loss divided by the task's initial loss, and exp(-s)
    multiplies the learning rate. A task whose loss has fallen to a half is certain, and
    gets twice the rate of a task whose loss has not changed.

    s is learned by plain gradient descent, a step for each step of the task, because an
    RMSProp would move it by a constant amount however far it is from its minimum. The
    state of a task is s and the initial loss.
    """

    def _update(
        self, task: str, count: int, relative_loss: float, report: StepReport
    ) -> None:
        """See the base class: a step of gradient descent on the task's s."""
        del count, report
        # The log weight is -s.
        log_weight = float(self._log_weights[task].numpy())
        gradient = 0.5 * (1.0 - math.exp(log_weight) * relative_loss)
        gradient = max(gradient, -MAX_GRADIENT)
        self._set_log_weight(task, log_weight + STEP_SIZE * gradient)
