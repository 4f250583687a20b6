"""The flags that choose networks and tasks. A main imports this module and adopts them:

    flags.adopt_module_key_flags(network_flags)

Only mains may read the flags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from selfsup import tasks, trunk
from selfsup.pretraining import configuration, presets

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig

_TASKS = flags.DEFINE_list(
    "tasks",
    list(presets.DEFAULT_TASKS),
    f"Tasks of the network, of: {', '.join(tasks.REGISTRY)}.",
)
_PRESET = flags.DEFINE_enum(
    "preset",
    "paper",
    list(presets.PRESETS),
    "Hyperparameters: "
    + "; ".join(f"{name}: {each.description}" for name, each in presets.PRESETS.items())
    + ".",
)
_TASK_SET = flags.DEFINE_multi_string(
    "task_set",
    [],
    "TASK.KEY=VALUE: sets a field of a task's configuration; may be repeated.",
)
_TRUNK_SET = flags.DEFINE_multi_string(
    "trunk_set",
    [],
    "KEY=VALUE: sets a field of the trunk's configuration; may be repeated. Kinds of "
    f"trunks and their depths: {trunk.describe()}. For example --trunk_set=depth=50; a "
    "kind without a depth has that of the preset, or its first one.",
)
_MIXED_PRECISION = flags.DEFINE_bool(
    "mixed_precision", False, "Compute trunk and heads in bfloat16."
)


def resolve(**options: Any) -> RunConfig:
    """Returns the configuration that the flags ask for.

    Args:
      **options: further arguments of `configuration.resolve`.

    Raises:
      UserError: if the flags contradict each other or name what does not exist.
    """
    return configuration.resolve(
        _PRESET.value,
        _TASKS.value,
        task_overrides=_TASK_SET.value,
        trunk_overrides=_TRUNK_SET.value,
        mixed_precision=_MIXED_PRECISION.value,
        **options,
    )
