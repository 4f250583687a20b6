"""The registry of self-supervised tasks, the only place that lists them.

It maps names to "module:class", so that listing the tasks does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from selfsup.common.errors import UserError

if TYPE_CHECKING:
    from selfsup.tasks.task import Task

REGISTRY = {
    "relative_position": "selfsup.tasks.relative_position:RelativePosition",
    "colorization": "selfsup.tasks.colorization:Colorization",
    "exemplar": "selfsup.tasks.exemplar:Exemplar",
    "motion_segmentation": "selfsup.tasks.motion_segmentation:MotionSegmentation",
    "rotation": "selfsup.tasks.rotation:Rotation",
    "imagenet_labels": "selfsup.tasks.imagenet_labels:ImagenetLabels",
}


def task_class(name: str) -> type[Task]:
    """Imports and returns the `Task` subclass that is registered as `name`.

    Raises:
      UserError: if no task has this name; the message lists all names.
    """
    if name not in REGISTRY:
        raise UserError(f"unknown task {name!r}; tasks are: {', '.join(REGISTRY)}")
    module, class_name = REGISTRY[name].split(":")
    task: type[Task] = getattr(importlib.import_module(module), class_name)
    return task
