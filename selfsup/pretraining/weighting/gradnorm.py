"""GradNorm: balances how far each task moves the trunk.

Chen, Badrinarayanan, Lee & Rabinovich, "GradNorm: Gradient Normalization for Adaptive Loss
Balancing in Deep Multitask Networks" (ICML 2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from selfsup.pretraining.weighting.weighting import StepReport, Weighting

# The exponent alpha of the publication for its networks on NYU v2 (section 5.2).
ASYMMETRY = 1.5
# Steps of a task between two updates of its weight.
PERIOD = 10
# Share of the way to the balanced weight that an update takes.
STEP_SIZE = 0.1
# Decay of the moving average of a task's relative loss.
LOSS_DECAY = 0.95
# The average loss counts as this share of the initial loss if it is less.
_LEAST_LOSS = 1e-3


class GradNorm(Weighting):
    """Keeps the trunk's updates by all tasks in the published proportion.

    The publication asks that the norm G of the gradient of each weighted loss in the
    shared layers be mean(G) r^alpha. r is the task's inverse training rate: its loss
    relative to its initial loss, divided by the mean over the tasks. A task that has
    learned little is accelerated.

    Gradients themselves mean nothing under RMSProp, which divides them by their size. So G
    is the norm of the task's update of the trunk: RMSProp's momentum, which is what the
    step subtracted. It is measured relative to the step's learning rate, so that the
    rates that a user sets keep their proportion. All kernels of the trunk count, not only
    those of the last shared layer: the optimizer stores the momenta of all, so they cost
    no computation but their norm, once in `PERIOD` steps.

    Published weights minimise the sum of |G - mean(G) r^alpha| by gradient descent and
    are scaled to a fixed sum. G is proportional to the weight, so here the logarithm of
    the weight moves `STEP_SIZE` of the way to log(r^alpha / update at weight 1), which has
    the same minimum and never makes a weight negative. The state of a task is its weight,
    its initial loss, a moving average of its loss, and its last update norm.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        """See the base class."""
        super().__init__(tasks)
        self._losses = self._numbers()
        # Norm of the update at rate 1; 0 before the first measurement.
        self._update_norms = self._numbers()

    def _update(
        self, task: str, count: int, relative_loss: float, report: StepReport
    ) -> None:
        """See the base class: averages the loss, and updates once in `PERIOD` steps."""
        before = float(self._losses[task].numpy()) or relative_loss
        average = LOSS_DECAY * before + (1.0 - LOSS_DECAY) * relative_loss
        self._losses[task].assign(average)
        if count % PERIOD:
            return
        norm = report.update_norm() / report.learning_rate
        # A network whose units are all dead has no update to balance.
        if math.isfinite(norm) and norm > 0:
            self._update_norms[task].assign(norm)
        targets = self._targets()
        if targets:
            before = float(self._log_weights[task].numpy())
            self._set_log_weight(task, before + STEP_SIZE * (targets[task] - before))

    def _targets(self) -> dict[str, float]:
        """Log weights that balance the tasks, mean 0; empty while a task is missing."""
        norms = {name: float(each.numpy()) for name, each in self._update_norms.items()}
        if not all(norms.values()):
            return {}
        losses = {
            name: max(float(each.numpy()), _LEAST_LOSS)
            for name, each in self._losses.items()
        }
        # Neither mean(G) nor the mean of the losses changes the proportions.
        logs = {
            name: ASYMMETRY * math.log(losses[name]) - math.log(norms[name])
            for name in self.tasks
        }
        mean = sum(logs.values()) / len(logs)
        return {name: value - mean for name, value in logs.items()}
