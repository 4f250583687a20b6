"""The registry of self-supervised tasks: the one place that lists them.

Names map to "module:class" so that listing tasks imports no TensorFlow.
"""

import importlib

from selfsup.common.errors import UserError

REGISTRY = {
    "relative_position": "selfsup.tasks.relative_position:RelativePosition",
    "colorization": "selfsup.tasks.colorization:Colorization",
    "exemplar": "selfsup.tasks.exemplar:Exemplar",
    "motion_segmentation": "selfsup.tasks.motion_segmentation:MotionSegmentation",
    "rotation": "selfsup.tasks.rotation:Rotation",
    "imagenet_labels": "selfsup.tasks.imagenet_labels:ImagenetLabels",
}


def task_class(name):
    """The `Task` subclass registered as `name`.

    Raises:
      UserError: for a name that is not registered; lists those that are.
    """
    if name not in REGISTRY:
        raise UserError(f"unknown task {name!r}; tasks are: {', '.join(REGISTRY)}")
    module, cls = REGISTRY[name].split(":")
    return getattr(importlib.import_module(module), cls)
