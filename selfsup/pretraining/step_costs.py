"""What a step of each task costs on the cost clock (paper sections 4 and 6.1).

Tasks are compared at equal cost, so equal cost has to be equal computation. A step's
cost is counted: the multiply-adds of trunk and head on the inputs as configured,
forward and backward, at the rate of one K40. The rate follows from colorization, the
only task whose step the paper defines fully: one photo of 256x256 an example, and
ImageNet's photos an epoch in 90 GPU hours.

The paper's own constants stay as a choice. They are hours an epoch and do not say how
many patches, frames or videos an epoch has, so they charge our examples for
computation that these do not do; docs/scaling.md has what they imply.
"""

from __future__ import annotations

from collections.abc import Mapping

from selfsup.common.errors import UserError

# How a step's cost comes about: values of --costs.
COSTS = {
    "multiply_adds": "counted, in hours of one K40",
    "measured": "the fastest of a task's first steps, in seconds of one device",
    "paper": "the paper's GPU hours an epoch, by photos or frames",
}
DEFAULT = "multiply_adds"

# Of the training set of ILSVRC 2012.
IMAGENET_PHOTOS = 1_281_167
# The backward pass computes a gradient of the inputs and one of the kernel for each
# product of the forward pass.
PASSES = 3
# Multiply-adds of a forward pass of colorization at the paper's sizes, a photo.
_COLORIZATION_FORWARD = 64_455_406_080
_COLORIZATION_HOURS_AN_EPOCH = 90.0
# Of training: 0.77e12 a second, about a third of what a K40 can do in float32.
K40_MULTIPLY_ADDS_AN_HOUR = (
    PASSES * _COLORIZATION_FORWARD * IMAGENET_PHOTOS / _COLORIZATION_HOURS_AN_EPOCH
)

# A snapshot every 2.4K GPU hours; the last, number 7, at 16.8K (sections 4 and 6.2).
PAPER_SNAPSHOT_HOURS = 2400.0
PAPER_END_HOURS = 16800.0
# By task: GPU hours (K40) of an epoch (section 6.1), and its examples. The paper does
# not say how many frames it takes of SoundNet's two million videos; one each is ours.
_PAPER_EPOCHS = {
    "relative_position": (350.0, IMAGENET_PHOTOS),
    "colorization": (_COLORIZATION_HOURS_AN_EPOCH, IMAGENET_PHOTOS),
    "exemplar": (60.0, IMAGENET_PHOTOS),
    "motion_segmentation": (400.0, 2_000_000),
}


def k40_hours(forward_multiply_adds: float) -> float:
    """Hours of one K40 that training takes for so many multiply-adds forward."""
    return PASSES * forward_multiply_adds / K40_MULTIPLY_ADDS_AN_HOUR


def paper_example_cost(task: str) -> float:
    """GPU hours (K40) of an example of a task, by the paper's hours an epoch.

    Raises:
      UserError: for a task that is not the paper's.
    """
    if task not in _PAPER_EPOCHS:
        raise UserError(
            f"--costs=paper: the paper has no hours an epoch of {task}, only of "
            f"{', '.join(_PAPER_EPOCHS)}; use --costs={DEFAULT}, or give "
            f"--task_set={task}.step_cost=HOURS"
        )
    hours, examples = _PAPER_EPOCHS[task]
    return hours / examples


def step_costs(
    costs: str,
    given: Mapping[str, float],
    batch_sizes: Mapping[str, int],
    forward_multiply_adds: Mapping[str, float],
) -> dict[str, float]:
    """Cost of a replica's step by task.

    Args:
      costs: name in `COSTS`.
      given: costs that the user gives by task; 0 for none.
      batch_sizes: examples of a replica's step by task.
      forward_multiply_adds: of one example by task.

    Returns:
      hours of one K40 by task; with "measured" only what is given, as the cost clock
      measures the rest.

    Raises:
      UserError: with "paper", for a task that has no hours there.
    """
    found = {}
    for task, size in batch_sizes.items():
        if given[task]:
            found[task] = given[task]
        elif costs == "multiply_adds":
            found[task] = size * k40_hours(forward_multiply_adds[task])
        elif costs == "paper":
            found[task] = size * paper_example_cost(task)
    return found
