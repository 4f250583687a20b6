"""The trunk that an evaluation begins from, whatever it was made by (paper section 5)."""

import dataclasses
import os
from typing import Any

from selfsup.common import config_file
from selfsup.common.errors import UserError
from selfsup.export import model_card, trunk_export
from selfsup.keras import keras
from selfsup.pretraining import pretrained_trunk
from selfsup.trunk.resnet_v2 import Trunk, TrunkConfig

RANDOM = "random"


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A trunk to evaluate.

    Attributes:
      trunk: the `Trunk`, at the output stride asked for.
      block4: its `Block4`, for pretrainings that have one (ImageNet labels), or None.
      description: dict of JSON types for metrics.json, see docs/evaluations.md.
    """

    trunk: Any
    block4: Any
    description: dict


def load_for(settings, output_stride):
    """The `Pretrained` that an `eval.settings.Settings` names, at this output stride.

    Says so where a random trunk of the same settings would be of another depth.
    """
    made = load(
        settings.trunk,
        checkpoint=settings.checkpoint,
        depth=settings.depth,
        output_stride=output_stride,
        seed=settings.seed,
        mixed_precision=settings.mixed_precision,
    )
    depth = made.trunk.config.depth
    if depth != settings.depth:
        print(
            f"--trunk={settings.trunk}: is of depth {depth}; the random one to compare "
            f"it with takes --depth={depth}"
        )
    return made


def load(source, *, checkpoint, depth, output_stride, seed, mixed_precision=False):
    """Rebuilds the trunk of an export, of a pretraining run, or a random one.

    Args:
      source: folder of an export (SavedModel) or of a pretraining run, or "random".
      checkpoint: of a run: name of a checkpoint or snapshot; None for the newest.
      depth: of a random trunk, key of `resnet_v2.DEPTHS`.
      output_stride: 8, 16 or 32.
      seed: of a random trunk.
      mixed_precision: whether it computes in bfloat16.

    Returns:
      a `Pretrained`.

    Raises:
      UserError: for a source that is none of these, or a checkpoint that is not there.
    """
    settings = {"output_stride": output_stride, "mixed_precision": mixed_precision}
    if source == RANDOM:
        made = _random(depth, seed, settings)
    elif os.path.isfile(os.path.join(source, model_card.JSON_NAME)):
        made = _exported(source, settings)
    elif os.path.isfile(os.path.join(source, config_file.FILE_NAME)):
        return _run(source, checkpoint, settings)
    else:
        raise UserError(
            f"--trunk={source}: expected the folder of an exported trunk (with "
            f"{model_card.JSON_NAME}), of a pretraining run (with "
            f"{config_file.FILE_NAME}), or {RANDOM!r}"
        )
    if checkpoint:
        raise UserError(
            f"--checkpoint={checkpoint}: of pretraining runs alone; --trunk={source} is "
            "none"
        )
    return made


def _random(depth, seed, settings):
    keras.utils.set_random_seed(seed + 1)
    trunk = Trunk(TrunkConfig(depth=depth, **settings))
    return Pretrained(trunk, None, {"kind": "random", "depth": depth, "seed": seed})


def _exported(source, settings):
    trunk = trunk_export.load_trunk(source, **settings)
    has_block4 = "block4" in trunk_export.part_names(source)
    block4 = trunk_export.load_block4(source, **settings) if has_block4 else None
    card = trunk_export.load_card(source)
    description = {
        "kind": "export",
        "path": source,
        "depth": trunk.config.depth,
        "tasks": sorted(card.get("tasks", {})),
        "checkpoint": card.get("checkpoint"),
        "cost": card.get("cost", {}).get("total"),
    }
    return Pretrained(trunk, block4, description)


def _run(source, checkpoint, settings):
    restored = pretrained_trunk.load(source, checkpoint)
    trunk = _with(restored.trunk, settings)
    block4 = restored.parts.get("block4")
    description = {
        "kind": "run",
        "path": source,
        "depth": trunk.config.depth,
        "tasks": sorted(restored.state["groups"]),
        "checkpoint": restored.checkpoint,
        "cost": restored.state["cost"],
    }
    if block4 is not None:
        block4 = _with(block4, settings)
    return Pretrained(trunk, block4, description)


def _with(model, settings):
    """A new model of the same class and weights with other settings."""
    config = dataclasses.replace(model.config, **settings)
    copy = type(model)(config)
    copy.set_weights(model.get_weights())
    return copy
