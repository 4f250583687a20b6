"""What a pretraining run left in its folder: the networks of a checkpoint."""

import dataclasses
import os
from typing import Any

import tensorflow as tf

from selfsup import tasks as task_registry
from selfsup.common import config_file
from selfsup.common.errors import UserError
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.pretraining.combination import Combination
from selfsup.trunk.resnet_v2 import Trunk, TrunkConfig

CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True)
class Restored:
    """A checkpoint of a run.

    Attributes:
      trunk: the `Trunk`.
      unit_weights: dict task -> float32 [M] row of alpha; empty without the lasso.
      parts: what heads have that an export holds: dict of "block4" and "logits", of runs
        with a task that has them.
      checkpoint: its name.
      state: its state: counters of the tasks ("groups"), "cost", "step_costs".
    """

    trunk: Any
    unit_weights: dict
    parts: dict
    checkpoint: str
    state: dict


def checkpoints(model_dir):
    """The checkpoint `CheckpointStore` of a run."""
    return CheckpointStore(os.path.join(model_dir, CHECKPOINTS))


def restore(model_dir, checkpoint=None):
    """Rebuilds what outlives a run: its trunk, rows of alpha, exported parts of heads.

    Args:
      model_dir: folder of the run.
      checkpoint: name of a checkpoint or snapshot; None for the newest checkpoint.

    Returns:
      a `Restored`.

    Raises:
      UserError: when there is no run or no such checkpoint.
    """
    config = config_file.read(model_dir)
    store = checkpoints(model_dir)
    name = checkpoint or store.latest()
    if name is None:
        raise UserError(f"{model_dir}: no checkpoint yet")
    network = _network(model_dir, config)
    state = store.restore(name, tf.train.Checkpoint(network=network), partial=True)
    rows = {}
    if config["lasso"]:
        alpha = network.combination.alpha().numpy()
        rows = dict(zip(config["tasks"], alpha))
    return Restored(network.trunk, rows, _exported(network.heads), name, state)


def _network(model_dir, config):
    """The parts of a `multitask.MultiTaskNetwork` that outlive the pretraining."""
    try:
        trunk = Trunk(TrunkConfig(**config["trunk"]))
        parts = {"trunk": trunk, "heads": _heads_with_exports(config["tasks"])}
        if config["lasso"]:
            parts["combination"] = Combination(config["tasks"], trunk.num_units)
    except (KeyError, TypeError) as error:
        path = os.path.join(model_dir, config_file.FILE_NAME)
        raise UserError(
            f"{path}: not the config of a pretraining run: {error}"
        ) from error
    return tf.train.Checkpoint(**parts)


def _heads_with_exports(configs):
    """Dict of heads by task: of the tasks with parts to export."""
    classes = {name: task_registry.task_class(name) for name in configs}
    return {
        name: cls(cls.Config(**configs[name])).build_head()
        for name, cls in classes.items()
        if cls.exported_parts
    }


def _exported(heads):
    return {
        part: getattr(head, part)
        for name, head in heads.items()
        for part in task_registry.task_class(name).exported_parts
    }
