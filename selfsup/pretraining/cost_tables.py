"""What a step of a task computes, costs and holds in memory, as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from selfsup.pretraining import computation, memory, step_costs
from selfsup.pretraining.configuration import RunConfig
from selfsup.pretraining.training_run import build_network

# Of a device's memory: what the driver and the libraries take, in GB, and the share of
# the rest that an allocator cannot use for gaps, or a library takes for its work.
RESERVED_GIGABYTES = 1.0
USABLE_SHARE = 0.8


@dataclasses.dataclass(frozen=True)
class Row:
    """What was counted of a task.

    Attributes:
      task: its name.
      batch_size: photos or frames of a replica's step.
      images: images that the trunk sees of one of them.
      forward: multiply-adds of a forward pass of one of them.
      parameter_bytes: of trunk and head.
      fixed_bytes: of a step, whatever the batch: gradients among them.
      example_bytes: of a step for each photo or frame.
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
        """Hours of one K40 that a replica's step costs."""
        return self.batch_size * step_costs.k40_hours(self.forward)

    def bytes_of(self, batch_size: float) -> float:
        """Bytes of a replica of its own: its copy of the parameters and a step."""
        return self.parameter_bytes + self.fixed_bytes + batch_size * self.example_bytes

    def largest_batch(self, gigabytes: float) -> int:
        """Most photos or frames a step that a device of so many GB holds; 0 for none."""
        room = USABLE_SHARE * (gigabytes - RESERVED_GIGABYTES) * 1e9
        return max(0, int((room - self.bytes_of(0)) // self.example_bytes))


def row_of(config: RunConfig, name: str) -> Row:
    """Counts a task of a run, by tracing its network at two batch sizes.

    Raises:
      UserError: for a task whose network depends on its data, such as the number of
        labels, where the config leaves that open.
    """
    network = build_network(config, [name])
    task = network.tasks[name]
    least = task.min_batch_size
    batches, peaks = (least, 2 * least), []
    for size in batches:
        specs = computation.example_specs(task, size)
        graph = network.build(name, specs)
        peaks.append(memory.peak_bytes(memory.step_graph(network, name, specs)))
    images = graph.inputs[0].shape[0] / size
    forward = computation.multiply_adds(graph) / size
    slope = (peaks[1] - peaks[0]) / (batches[1] - batches[0])
    variables = [*network.trained_variables(name), *network.statistics(name)]
    return Row(
        task=name,
        batch_size=config.tasks[name].batch_size,
        images=images,
        forward=forward,
        parameter_bytes=sum(4 * int(np.prod(one.shape)) for one in variables),
        fixed_bytes=peaks[0] - slope * batches[0],
        example_bytes=slope,
    )


def costs(rows: Sequence[Row]) -> str:
    """Markdown table: computation and cost of a replica's step."""
    lines = [
        "| task | batch a replica | images of each | forward, G multiply-adds each "
        "| K40 seconds a step | K40 hours for ImageNet's photos |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        epoch = step_costs.IMAGENET_PHOTOS * step_costs.k40_hours(row.forward)
        lines.append(
            f"| {row.task} | {row.batch_size} | {row.images:g} | "
            f"{row.forward / 1e9:.1f} | {3600 * row.step_hours:.2f} | {epoch:.1f} |"
        )
    return "\n".join(lines) + "\n"


def memory_table(rows: Sequence[Row], gigabytes: Sequence[float]) -> str:
    """Markdown table: memory of a replica's step, and the largest batch by device."""
    sizes = " | ".join(f"most at {size:g} GB" for size in gigabytes)
    lines = [
        "| task | parameters, GB | a step's own, GB | each photo or frame, GB "
        f"| at the batch above, GB | {sizes} |",
        "|---|---|---|---|---|" + "---|" * len(gigabytes),
    ]
    for row in rows:
        most = " | ".join(str(row.largest_batch(size)) for size in gigabytes)
        lines.append(
            f"| {row.task} | {row.parameter_bytes / 1e9:.2f} | "
            f"{row.fixed_bytes / 1e9:.2f} | {row.example_bytes / 1e9:.3f} | "
            f"{row.bytes_of(row.batch_size) / 1e9:.1f} | {most} |"
        )
    return "\n".join(lines) + "\n"
