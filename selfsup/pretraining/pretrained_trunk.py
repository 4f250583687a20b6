"""Loads the trunk of a pretraining run, and the other results that outlive the run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from selfsup import tasks as task_registry
from selfsup.common import config_file
from selfsup.common.errors import UserError, error_reason
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.keras import keras
from selfsup.pretraining.combination import Combination
from selfsup.trunk import build_trunk
from selfsup.trunk.trunk import Trunk, TrunkConfig

CHECKPOINTS_FOLDER = "checkpoints"

# JSON objects: the keys of a stored configuration or state are those of its writer.
_Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PretrainedTrunk:
    """The trunk of a checkpoint of a run, and what belongs to it.

    Attributes:
      trunk: the trunk.
      unit_weights: by task, the row of alpha, float32 [M]; empty for runs without the
        lasso.
      parts: parts of heads that an export contains, "block4" and "logits"; empty for
        runs without a task that has such parts.
      heads: by task, the whole heads that an export contains.
      checkpoint: name of the checkpoint.
      state: state of the checkpoint: the counters of each task ("groups"), "cost", and
        "step_costs".
    """

    trunk: Trunk
    unit_weights: dict[str, npt.NDArray[np.float32]]
    parts: dict[str, keras.layers.Layer]
    heads: dict[str, keras.layers.Layer]
    checkpoint: str
    state: _Json


def checkpoint_store(model_dir: str) -> CheckpointStore:
    """Returns the checkpoints in the folder of a run."""
    return CheckpointStore(os.path.join(model_dir, CHECKPOINTS_FOLDER))


def load(model_dir: str, checkpoint: str | None = None) -> PretrainedTrunk:
    """Loads the trunk, the rows of alpha, and the parts of heads for an export.

    Args:
      model_dir: folder of the run.
      checkpoint: name of a checkpoint or snapshot; None for the newest checkpoint.

    Raises:
      UserError: if there is no run or no such checkpoint.
    """
    config = config_file.read(model_dir)
    store = checkpoint_store(model_dir)
    name = checkpoint or store.latest()
    if name is None:
        raise UserError(f"{model_dir}: there is no checkpoint yet")
    network = _build(model_dir, config)
    state = store.restore(name, tf.train.Checkpoint(network=network), partial=True)
    rows = {}
    if _has_combination(config):
        rows = dict(zip(config["tasks"], network.combination.alpha().numpy()))
    return PretrainedTrunk(
        trunk=network.trunk,
        unit_weights=rows,
        parts=_exported_parts(network.heads),
        heads={
            task: head
            for task, head in network.heads.items()
            if _exports_whole_head(task)
        },
        checkpoint=name,
        state=state,
    )


def _build(model_dir: str, config: _Json) -> tf.train.Checkpoint:
    """The parts of a `MultiTaskNetwork` to load, under the names that they have there."""
    try:
        trunk = build_trunk(TrunkConfig(**config["trunk"]))
        heads = _heads_with_exports(config["tasks"], trunk)
        parts = {"trunk": trunk, "heads": heads}
        if _has_combination(config):
            parts["combination"] = Combination(config["tasks"], trunk.num_units)
    except (KeyError, TypeError) as error:
        path = os.path.join(model_dir, config_file.FILE_NAME)
        raise UserError(
            f"{path}: not the configuration of a pretraining run: {error_reason(error)}"
        ) from error
    return tf.train.Checkpoint(**parts)


def _has_combination(config: _Json) -> bool:
    # Runs from before the group penalty do not have its field.
    return bool(config["lasso"] or config.get("group_lasso"))


def _heads_with_exports(
    configs: Mapping[str, _Json], trunk: Trunk
) -> dict[str, keras.layers.Layer]:
    """Builds the heads that have parts for an export, by task."""
    heads = {}
    for name, values in configs.items():
        cls = task_registry.task_class(name)
        if cls.exported_parts:
            config = cls.config_for_trunk(cls.Config(**values), trunk.config)
            heads[name] = cls(config).build_head()
        if _exports_whole_head(name):
            # A head creates its variables when it is first called.
            spec = tf.TensorSpec([None, None, None, trunk.channels], tf.float32)
            tf.function(heads[name].__call__).get_concrete_function(spec)
    return heads


def _exported_parts(
    heads: Mapping[str, keras.layers.Layer],
) -> dict[str, keras.layers.Layer]:
    return {
        part: getattr(head, part)
        for name, head in heads.items()
        for part in task_registry.task_class(name).exported_parts
        if part != name
    }


def _exports_whole_head(task: str) -> bool:
    return task in task_registry.task_class(task).exported_parts
