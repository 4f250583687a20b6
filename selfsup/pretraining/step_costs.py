"""The cost of a step of each task on the cost clock (paper sections 4 and 6.1).

The paper compares tasks at equal cost, so equal cost must mean equal computation. The
cost of a step is counted: the multiply-adds of trunk and head, forward and backward, on
the configured inputs, divided by the speed of a K40. The speed follows from
colorization, the only task whose step the paper defines completely: an example is a
photo of 256x256 pixels, and an epoch is the photos of ImageNet, in 90 GPU hours.

The constants of the paper can be chosen instead. They are GPU hours for an epoch, and
the paper does not say how many patches, frames or videos an epoch has. So they charge
our examples for computation that these do not do; see docs/scaling.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from selfsup.common.errors import SettingError

# The ways to get the cost of a step: name -> explanation.
COSTS = {
    "multiply_adds": "counted, in hours of one K40",
    "measured": "the fastest of a task's first steps, in seconds of one device",
    "paper": "the paper's GPU hours for an epoch, by photos or frames",
}
DEFAULT = "multiply_adds"

# Photos in the training set of ILSVRC 2012.
IMAGENET_PHOTOS = 1_281_167
# For each product of the forward pass, the backward pass computes two: the gradient of
# the inputs and the gradient of the kernel.
PASSES = 3
# Multiply-adds of a forward pass of colorization for a photo, at the paper's sizes.
_COLORIZATION_FORWARD = 64_455_406_080
_COLORIZATION_EPOCH_HOURS = 90.0
# The speed in training: 0.76e12 per second, about a third of a K40's peak in float32.
K40_MULTIPLY_ADDS_PER_HOUR = (
    PASSES * _COLORIZATION_FORWARD * IMAGENET_PHOTOS / _COLORIZATION_EPOCH_HOURS
)

# A snapshot every 2.4K GPU hours; the last, number 7, at 16.8K (sections 4 and 6.2).
PAPER_SNAPSHOT_HOURS = 2400.0
PAPER_END_HOURS = 16800.0
# By task, the GPU hours (K40) and the examples of an epoch (section 6.1). The paper does
# not say how many frames it takes from SoundNet's two million videos; one frame from
# each is our assumption.
_PAPER_EPOCHS = {
    "relative_position": (350.0, IMAGENET_PHOTOS),
    "colorization": (_COLORIZATION_EPOCH_HOURS, IMAGENET_PHOTOS),
    "exemplar": (60.0, IMAGENET_PHOTOS),
    "motion_segmentation": (400.0, 2_000_000),
}


def k40_hours(forward_multiply_adds: float) -> float:
    """Returns the hours that a K40 trains, given the multiply-adds of the forward pass."""
    return PASSES * forward_multiply_adds / K40_MULTIPLY_ADDS_PER_HOUR


def paper_example_cost(task: str) -> float:
    """Returns the GPU hours (K40) of an example, from the paper's hours for an epoch.

    Raises:
      UserError: if the paper gives no hours for the task.
    """
    if task not in _PAPER_EPOCHS:
        raise SettingError(
            "costs=paper",
            f"the paper does not give the GPU hours of {task}, only of "
            f"{', '.join(_PAPER_EPOCHS)}; use costs={DEFAULT}, or give "
            f"task_set={task}.step_cost=HOURS",
        )
    hours, examples = _PAPER_EPOCHS[task]
    return hours / examples


def step_costs(
    costs: str,
    given: Mapping[str, float],
    batch_sizes: Mapping[str, int],
    forward_multiply_adds: Mapping[str, float],
) -> dict[str, float]:
    """Computes the cost of a step of one replica of each task.

    Args:
      costs: name in `COSTS`.
      given: by task, the cost that the user gives; 0 for none.
      batch_sizes: by task, the examples of a replica's step.
      forward_multiply_adds: by task, the multiply-adds of the forward pass of an
        example.

    Returns:
      the cost by task, in the unit of `costs`. With "measured" only the tasks with a given
      cost, because the cost clock measures the others.

    Raises:
      UserError: with "paper", if the paper gives no hours for a task.
    """
    result = {}
    for task, size in batch_sizes.items():
        if given[task]:
            result[task] = given[task]
        elif costs == "multiply_adds":
            result[task] = size * k40_hours(forward_multiply_adds[task])
        elif costs == "paper":
            result[task] = size * paper_example_cost(task)
    return result
