"""Presets: the hyperparameters of a pretraining run; docs/hyperparameters.md has sources.

A preset lists only what differs from the defaults of the configuration classes of the
trunk and the tasks. These defaults are the paper's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from selfsup.pretraining import step_costs

# Values of fields of a configuration class, by field name; each has the field's type.
Overrides = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of hyperparameters.

    Attributes:
      description: one line for `--help`.
      trunk: overrides of `trunk.trunk.TrunkConfig`.
      tasks: overrides of the configurations of tasks, by task name.
      steps: the most steps that a task of weight 1 takes.
      snapshot_cost: a snapshot is kept at each multiple of this cost; 0 for none.
      end_cost: cost at which the run ends; 0 if only `steps` ends it.
      rmsprop: name in `hybrid.rmsprop.NAMED`.
      validation_batches: see `RunConfig`.
      validation_steps: see `RunConfig`.
      log_steps: see `RunConfig`.
    """

    description: str
    trunk: Overrides
    tasks: Mapping[str, Overrides]
    steps: int
    snapshot_cost: float = 0.0
    end_cost: float = 0.0
    rmsprop: str = "scale_invariant"
    validation_batches: int = 20
    validation_steps: int = 2000
    log_steps: int = 50


# The paper's four tasks (section 2).
DEFAULT_TASKS = ("relative_position", "colorization", "exemplar", "motion_segmentation")
# Those that read what only videos have.
_VIDEO_TASKS = ("motion_segmentation",)
# By task, the field of its configuration that takes the file of `data_prep.color_prior`.
_COLOR_PRIOR_FIELDS = {"colorization": "prior_file"}

PRESETS = {
    "paper": Preset(
        description="the paper's ResNet-101-v2, heads and cost clock",
        trunk={"depth": "101"},
        tasks={},
        # The cost clock ends the run long before this.
        steps=100_000_000,
        snapshot_cost=step_costs.PAPER_SNAPSHOT_HOURS,
        end_cost=step_costs.PAPER_END_HOURS,
    ),
    "small": Preset(
        description="ResNet-50-v2 and narrower heads, for one GPU",
        trunk={"depth": "50"},
        tasks={
            "relative_position": {"fc_bottleneck_channels": 256},
            "colorization": {"head_channels": 1024},
            "motion_segmentation": {"head_channels": 1024},
        },
        steps=100_000,
    ),
    "tiny": Preset(
        description="a trunk of 0.24M parameters and small heads, for CPUs",
        trunk={"depth": "tiny"},
        tasks={
            "relative_position": {
                "batch_size": 32,
                "learning_rate": 3e-4,
                "grids": 1,
                "grid_rows": 2,
                "grid_columns": 2,
                "patch_size": 64,
                "gap": 24,
                "jitter": 5,
                "min_pixels": 50_000,
                "max_pixels": 100_000,
                "unit1_channels": 128,
                "unit2_channels": 64,
                "bottleneck_channels": 32,
                "fc_bottleneck_channels": 64,
            },
            "colorization": {
                "learning_rate": 3e-4,
                "image_size": 128,
                "head_channels": 256,
            },
            "exemplar": {
                "batch_size": 32,
                "learning_rate": 3e-4,
                "image_size": 160,
                "patch_size": 64,
                "unit1_channels": 128,
                "unit2_channels": 64,
                "bottleneck_channels": 32,
            },
            "motion_segmentation": {
                "batch_size": 8,
                "learning_rate": 3e-4,
                "head_channels": 128,
                "min_scale": 0.7,
                "max_scale": 2.0,
                "color_jitter": True,
            },
            "rotation": {
                "batch_size": 8,
                "learning_rate": 3e-4,
                "image_size": 96,
                "channels": 128,
                "bottleneck_channels": 32,
            },
            "imagenet_labels": {
                "batch_size": 16,
                "learning_rate": 3e-4,
                "image_size": 96,
                "min_crop_area": 0.3,
            },
        },
        steps=600,
        validation_batches=4,
        validation_steps=50,
        log_steps=10,
    ),
}


def default_tasks(videos: bool) -> tuple[str, ...]:
    """Returns the default tasks that can train with or without videos."""
    return tuple(name for name in DEFAULT_TASKS if videos or name not in _VIDEO_TASKS)


def color_prior_fields(tasks: Iterable[str]) -> tuple[str, ...]:
    """Returns the fields that take a file of colour frequencies, as "TASK.FIELD"."""
    return tuple(
        f"{task}.{_COLOR_PRIOR_FIELDS[task]}"
        for task in tasks
        if task in _COLOR_PRIOR_FIELDS
    )
