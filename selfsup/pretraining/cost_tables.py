"""Tables of what a step of a task computes, costs and needs in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from selfsup.pretraining import memory, multiply_adds, step_costs
from selfsup.pretraining.configuration import RunConfig
from selfsup.pretraining.network import build_network, example_specs

# The part of a device's memory, in GB, that the driver and the libraries take.
RESERVED_GIGABYTES = 1.0
# The share of the rest that a step can use. Gaps between buffers and workspaces of
# libraries take what is left.
USABLE_SHARE = 0.8


@dataclasses.dataclass(frozen=True)
class TaskCost:
    """The computation and memory of a step of one replica of a task.

    Attributes:
      task: name of the task.
      batch_size: photos or frames in a step.
      images: number of images that the trunk receives for a photo or frame.
      forward: multiply-adds of the forward pass for a photo or frame.
      parameter_bytes: bytes of the variables of trunk and head.
      fixed_bytes: bytes of a step at any batch size, such as the gradients.
      example_bytes: bytes of a step for each photo or frame.
    """

    task: str
    batch_size: int
    images: float
    forward: float
    parameter_bytes: int
    fixed_bytes: float
    example_bytes: float

    @property
    def step_hours(self) -> float:
        """The cost of a step in hours of a K40."""
        return self.batch_size * step_costs.k40_hours(self.forward)

    def replica_bytes(self, batch_size: float) -> float:
        """Returns the bytes of a replica that has its own copy of the parameters."""
        return self.parameter_bytes + self.fixed_bytes + batch_size * self.example_bytes

    def largest_batch(self, gigabytes: float) -> int:
        """Returns the largest batch size that fits a device; 0 if none fits."""
        usable = USABLE_SHARE * (gigabytes - RESERVED_GIGABYTES) * 1e9
        return max(0, int((usable - self.replica_bytes(0)) // self.example_bytes))


def count_task(config: RunConfig, name: str) -> TaskCost:
    """Counts a task of a run by tracing its network at two batch sizes.

    Raises:
      UserError: if the network depends on the data of the task, such as the number of
        labels, and the configuration does not set that value.
    """
    network = build_network(config, [name])
    task = network.tasks[name]
    least = task.min_batch_size
    batch_sizes, peaks = (least, 2 * least), []
    for batch_size in batch_sizes:
        specs = example_specs(task, batch_size)
        graph = network.build(name, specs)
        peaks.append(memory.peak_bytes(memory.step_graph(network, name, specs)))
    slope = (peaks[1] - peaks[0]) / (batch_sizes[1] - batch_sizes[0])
    variables = [*network.trained_variables(name), *network.statistics(name)]
    return TaskCost(
        task=name,
        batch_size=config.tasks[name].batch_size,
        images=graph.inputs[0].shape[0] / batch_size,
        forward=multiply_adds.count(graph) / batch_size,
        parameter_bytes=sum(4 * int(np.prod(each.shape)) for each in variables),
        fixed_bytes=peaks[0] - slope * batch_sizes[0],
        example_bytes=slope,
    )


def cost_table(rows: Sequence[TaskCost]) -> str:
    """Returns a Markdown table of the computation and the cost of a replica's step."""
    lines = [
        "| task | batch per replica | images of each | forward, G multiply-adds each "
        "| K40 seconds per step | K40 hours for ImageNet's photos |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        epoch = step_costs.IMAGENET_PHOTOS * step_costs.k40_hours(row.forward)
        lines.append(
            f"| {row.task} | {row.batch_size} | {row.images:g} | "
            f"{row.forward / 1e9:.1f} | {3600 * row.step_hours:.2f} | {epoch:.1f} |"
        )
    return "\n".join(lines) + "\n"


def memory_table(rows: Sequence[TaskCost], gigabytes: Sequence[float]) -> str:
    """Returns a Markdown table of the memory of a replica's step.

    Args:
      rows: the tasks.
      gigabytes: memory sizes of devices in GB. For each, the table has a column with the
        largest batch size.
    """
    sizes = " | ".join(f"largest batch at {size:g} GB" for size in gigabytes)
    lines = [
        "| task | parameters, GB | a step's own, GB | each photo or frame, GB "
        f"| at the batch above, GB | {sizes} |",
        "|---|---|---|---|---|" + "---|" * len(gigabytes),
    ]
    for row in rows:
        largest = " | ".join(str(row.largest_batch(size)) for size in gigabytes)
        lines.append(
            f"| {row.task} | {row.parameter_bytes / 1e9:.2f} | "
            f"{row.fixed_bytes / 1e9:.2f} | {row.example_bytes / 1e9:.3f} | "
            f"{row.replica_bytes(row.batch_size) / 1e9:.1f} | {largest} |"
        )
    return "\n".join(lines) + "\n"
