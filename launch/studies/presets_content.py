"""What a preset sets, for fingerprints: a changed preset makes other cells.

Only the values that a preset gives count. A field that a configuration class gains keeps
the fingerprints, as `selfsup.common.config_file` treats it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from selfsup.common import overrides
from selfsup.pretraining import presets

if TYPE_CHECKING:
    from eval.settings import Preset


def of_pretraining(name: str, tasks: Sequence[str]) -> dict[str, object]:
    """Returns what a preset of `launch.pretrain` sets for some tasks, as JSON types.

    Raises:
      UserError: for an unknown preset.
    """
    preset = overrides.look_up("pretraining_flags.preset", name, presets.PRESETS)
    return {
        "trunk": dict(preset.trunk),
        "tasks": {task: dict(preset.tasks.get(task, {})) for task in tasks},
        "rmsprop": preset.rmsprop,
    }


def of_evaluation(evaluation: str, name: str) -> dict[str, object]:
    """Returns what a preset of an evaluation sets, as JSON types.

    Raises:
      UserError: for an unknown preset.
    """
    # Not the registry of evaluations, whose classes import TensorFlow.
    config = importlib.import_module(f"eval.{evaluation}.config")
    known: Mapping[str, Preset] = config.PRESETS
    preset = overrides.look_up(f"{evaluation}: preset", name, known)
    return {"depth": preset.depth, **preset.config}
