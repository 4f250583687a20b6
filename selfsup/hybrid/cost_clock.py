"""The cost clock: measures training cost by step counts, not by wall time.

Paper section 6.1, implementation details: the cost is the number of steps of each task
times a constant, the time of a step without congestion, summed over the tasks. A
snapshot is taken whenever the cost crosses a threshold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

CALIBRATION_STEPS = 5


@dataclasses.dataclass
class CostClock:
    """Sums the cost of the steps of all tasks.

    Attributes:
      step_costs: cost of a step of one replica, by task. The cost of a task that is
        missing here is measured: it becomes the seconds of the fastest of
        `CALIBRATION_STEPS` steps after the first step of this process.
      threshold: a snapshot is due at each multiple of it; 0 for no snapshots.
      end: cost at which training ends; 0 for never.
    """

    step_costs: dict[str, float]
    threshold: float = 0.0
    end: float = 0.0
    _observed: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def observe(self, task: str, seconds: float) -> None:
        """Takes in the seconds that a step of one replica kept a device busy."""
        if task in self.step_costs:
            return
        observed = self._observed.setdefault(task, [])
        observed.append(seconds)
        # The first step is left out: it includes tracing.
        if len(observed) == 1 + CALIBRATION_STEPS:
            self.step_costs[task] = min(observed[1:])

    def cost(self, steps: Mapping[str, float]) -> float:
        """Returns the total cost of `steps`, the number of steps of replicas by task.

        The steps of a task whose cost is not known yet cost nothing.
        """
        return sum(
            count * self.step_costs.get(task, 0.0) for task, count in steps.items()
        )

    def snapshots(self, steps: Mapping[str, float]) -> int:
        """Returns how many multiples of the threshold the cost has crossed."""
        return int(self.cost(steps) / self.threshold) if self.threshold else 0

    def ended(self, steps: Mapping[str, float]) -> bool:
        """Returns whether the cost has reached the end."""
        return bool(self.end) and self.cost(steps) >= self.end
