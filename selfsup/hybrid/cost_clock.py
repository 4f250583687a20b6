"""The cost clock: training cost from step counts, not from wall time.

Paper section 6.1, implementation details: cost is the per-task step count times a
constant that stands for the step time without congestion, added up over tasks, and a
snapshot is taken when it crosses a threshold.
"""

import dataclasses

# GPU hours (K40) that one pass over the data takes, paper section 6.1.
PAPER_GPU_HOURS_PER_EPOCH = {
    "relative_position": 350.0,
    "colorization": 90.0,
    "exemplar": 60.0,
    "motion_segmentation": 400.0,
}
# A snapshot every 2.4K GPU hours; the last, number 7, at 16.8K (sections 4 and 6.2).
PAPER_SNAPSHOT_HOURS = 2400.0
PAPER_END_HOURS = 16800.0
PAPER_GPUS = 64
# Of the training set of ILSVRC 2012.
IMAGENET_PHOTOS = 1_281_167
# Examples in an epoch. The paper does not say how many frames it takes of SoundNet's
# two million videos; one each is our reading.
PAPER_EPOCH_EXAMPLES = {
    "relative_position": IMAGENET_PHOTOS,
    "colorization": IMAGENET_PHOTOS,
    "exemplar": IMAGENET_PHOTOS,
    "motion_segmentation": 2_000_000,
}

CALIBRATION_STEPS = 5


def paper_example_cost(task):
    """GPU hours (K40) of one example of a task of the paper."""
    return PAPER_GPU_HOURS_PER_EPOCH[task] / PAPER_EPOCH_EXAMPLES[task]


@dataclasses.dataclass
class CostClock:
    """Adds up the cost of all tasks' steps.

    Attributes:
      step_costs: cost of a step by task; a task without one is calibrated, in seconds,
        from the fastest of `CALIBRATION_STEPS` steps after this process's first.
      threshold: a snapshot is due at each multiple of it; 0 for none.
      end: cost at which training ends; 0 for never.
    """

    step_costs: dict
    threshold: float = 0.0
    end: float = 0.0
    _observed: dict = dataclasses.field(default_factory=dict)

    def observe(self, task, seconds):
        """Takes note of how long a step of `task` took."""
        if task in self.step_costs:
            return
        observed = self._observed.setdefault(task, [])
        observed.append(seconds)
        # The first holds tracing.
        if len(observed) == 1 + CALIBRATION_STEPS:
            self.step_costs[task] = min(observed[1:])

    def cost(self, steps):
        """Total cost of `steps`, a dict of step counts by task.

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
