"""The cost clock: training cost from step counts, not from wall time.

Paper section 6.1, implementation details: cost is the per-task step count times a
constant that stands for the step time without congestion, added up over tasks, and a
snapshot is taken when it crosses a threshold.
"""

import dataclasses

CALIBRATION_STEPS = 5


@dataclasses.dataclass
class CostClock:
    """Adds up the cost of all tasks' steps.

    Attributes:
      step_costs: cost by task of one replica's step; a task without one is calibrated,
        in seconds, from the fastest of `CALIBRATION_STEPS` steps after this process's
        first.
      threshold: a snapshot is due at each multiple of it; 0 for none.
      end: cost at which training ends; 0 for never.
    """

    step_costs: dict
    threshold: float = 0.0
    end: float = 0.0
    _observed: dict = dataclasses.field(default_factory=dict)

    def observe(self, task, seconds):
        """Takes note of how many seconds of a device a replica's step took."""
        if task in self.step_costs:
            return
        observed = self._observed.setdefault(task, [])
        observed.append(seconds)
        # The first holds tracing.
        if len(observed) == 1 + CALIBRATION_STEPS:
            self.step_costs[task] = min(observed[1:])

    def cost(self, steps):
        """Total cost of `steps`, a dict of counts of replicas' steps by task.

        A task that is not calibrated yet costs nothing so far.
        """
        return sum(
            count * self.step_costs.get(task, 0.0) for task, count in steps.items()
        )

    def snapshots(self, steps):
        """How many multiples of the threshold the cost has crossed."""
        return int(self.cost(steps) / self.threshold) if self.threshold else 0

    def ended(self, steps):
        """Whether the cost has reached the end."""
        return bool(self.end) and self.cost(steps) >= self.end
