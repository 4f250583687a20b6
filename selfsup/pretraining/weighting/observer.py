"""Shows a weighting the steps that a training loop reports."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

from selfsup.hybrid.engine import AfterStep
from selfsup.hybrid.step_counts import TaskProgress
from selfsup.pretraining import health
from selfsup.pretraining.network import MultiTaskNetwork
from selfsup.pretraining.weighting.weighting import StepReport, Weighting


def observe_steps(
    weighting: Weighting,
    network: MultiTaskNetwork,
    groups: Mapping[str, TaskProgress],
    after_step: AfterStep,
) -> AfterStep:
    """Returns a function that shows each step to `weighting` and then calls `after_step`.

    The scalars of the step then contain "rate_factor" too, the task's factor before the
    step was observed. Steps whose loss is not finite are not shown.

    Args:
      weighting: the weighting.
      network: the network with the master variables.
      groups: the progress of each task by name.
      after_step: receives each step.
    """

    def observe(name: str, logs: dict[str, float], seconds: float) -> None:
        factor = weighting.factor(name)
        if math.isfinite(logs["loss"]):
            norm = functools.partial(_trunk_update_norm, network, groups[name])
            report = StepReport(logs["loss"], logs["learning_rate"], norm)
            weighting.observe(name, report)
        after_step(name, {**logs, "rate_factor": factor}, seconds)

    return observe


def _trunk_update_norm(network: MultiTaskNetwork, group: TaskProgress) -> float:
    """The L2 norm of a task's last update of the trunk's kernels."""
    trunk = {variable.ref() for variable in network.trunk.trainable_variables}
    updates = [pair for pair in group.last_updates() if pair[0].ref() in trunk]
    return math.hypot(*(norm for norm, _ in health.update_norms(updates).values()))
