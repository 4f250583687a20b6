"""Loads the trunk to evaluate: exported, from a pretraining run, or random (section 5)."""

from __future__ import annotations

import dataclasses
import os
from typing import TypedDict, TypeVar

import tensorflow as tf

from eval.json_types import JsonObject
from eval.settings import Config, Settings
from selfsup.common import config_file, processor
from selfsup.common.errors import SettingError
from selfsup.export import model_card, trunk_export
from selfsup.keras import keras
from selfsup.pretraining import pretrained_trunk
from selfsup.trunk import build_trunk
from selfsup.trunk.trunk import Tail, Trunk, TrunkConfig

RANDOM = "random"

Model = TypeVar("Model", Trunk, Tail)


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A trunk to evaluate.

    Attributes:
      trunk: the trunk, at the requested output stride.
      block4: tail of the trunk (block 4 of a ResNet) of a pretraining that has trained it
        (ImageNet labels), or None.
      description: the `trunk` field of metrics.json, see docs/evaluations.md.
    """

    trunk: Trunk
    block4: Tail | None
    description: JsonObject


class _TrunkSettings(TypedDict):
    """Fields of a `TrunkConfig` that the evaluation chooses."""

    output_stride: int
    mixed_precision: bool


def load_for(settings: Settings[Config], output_stride: int) -> Pretrained:
    """Loads the trunk that the settings of an evaluation name.

    Prints a note if a random trunk of the same settings would be another network, or
    if bfloat16 is slow on this machine.

    Args:
      settings: settings of the evaluation.
      output_stride: 8, 16 or 32.

    Raises:
      UserError: see `load`.
    """
    if settings.mixed_precision and not tf.config.list_physical_devices("GPU"):
        note = processor.bfloat16_note(processor.flags())
        if note is not None:
            print(note)
    pretrained = load(
        settings.trunk,
        checkpoint=settings.checkpoint,
        depth=settings.depth,
        output_stride=output_stride,
        seed=settings.seed,
        mixed_precision=settings.mixed_precision,
        trunk_kind=settings.trunk_kind,
    )
    config = pretrained.trunk.config
    if (config.kind, config.depth) != (settings.trunk_kind, settings.depth):
        kind = (
            ""
            if config.kind == settings.trunk_kind
            else f"trunk_kind={config.kind} and "
        )
        print(
            f"trunk={settings.trunk}: has depth {config.depth}; to compare it with a "
            f"random trunk, run the random trunk with {kind}depth={config.depth}"
        )
    return pretrained


def load(
    source: str,
    *,
    checkpoint: str | None,
    depth: str,
    output_stride: int,
    seed: int,
    mixed_precision: bool = False,
    trunk_kind: str = "resnet_v2",
) -> Pretrained:
    """Loads an exported trunk or the trunk of a pretraining run, or makes a random trunk.

    Args:
      source: folder of an export (SavedModel) or of a pretraining run, or "random".
      checkpoint: checkpoint or snapshot of a pretraining run; None for the newest.
      depth: depth of a random trunk.
      output_stride: 8, 16 or 32.
      seed: seed of the weights of a random trunk.
      mixed_precision: whether the trunk computes in bfloat16.
      trunk_kind: kind of a random trunk, a key of `selfsup.trunk.REGISTRY`.

    Raises:
      UserError: when `source` is neither, or the checkpoint does not exist.
    """
    settings = _TrunkSettings(
        output_stride=output_stride, mixed_precision=mixed_precision
    )
    if source == RANDOM:
        pretrained = _random(trunk_kind, depth, seed, settings)
    elif os.path.isfile(os.path.join(source, model_card.JSON_NAME)):
        pretrained = _exported(source, settings)
    elif os.path.isfile(os.path.join(source, config_file.FILE_NAME)):
        return _from_run(source, checkpoint, settings)
    else:
        raise SettingError(
            f"trunk={source}",
            "expected the folder of an exported trunk (with "
            f"{model_card.JSON_NAME}), of a pretraining run (with "
            f"{config_file.FILE_NAME}), or {RANDOM!r}",
        )
    if checkpoint:
        raise SettingError(
            f"checkpoint={checkpoint}",
            "only pretraining runs have checkpoints, and "
            f"trunk={source} is not a pretraining run",
        )
    return pretrained


def _random(
    trunk_kind: str, depth: str, seed: int, settings: _TrunkSettings
) -> Pretrained:
    keras.utils.set_random_seed(seed + 1)
    trunk = build_trunk(TrunkConfig(kind=trunk_kind, depth=depth, **settings))
    description = {"kind": "random", **_architecture(trunk), "seed": seed}
    return Pretrained(trunk, None, description)


def _architecture(trunk: Trunk) -> JsonObject:
    """What identifies the network in metrics.json."""
    return {"network": trunk.config.kind, "depth": trunk.config.depth}


def _exported(source: str, settings: _TrunkSettings) -> Pretrained:
    trunk = trunk_export.load_trunk(source, **settings)
    has_block4 = "block4" in trunk_export.part_names(source)
    block4 = trunk_export.load_block4(source, **settings) if has_block4 else None
    card = trunk_export.load_card(source)
    description = {
        "kind": "export",
        "path": source,
        **_architecture(trunk),
        "tasks": sorted(card.get("tasks", {})),
        "checkpoint": card.get("checkpoint"),
        "cost": card.get("cost", {}).get("total"),
    }
    return Pretrained(trunk, block4, description)


def _from_run(
    source: str, checkpoint: str | None, settings: _TrunkSettings
) -> Pretrained:
    restored = pretrained_trunk.load(source, checkpoint)
    trunk = _copy(restored.trunk, settings)
    block4 = restored.parts.get("block4")
    description = {
        "kind": "run",
        "path": source,
        **_architecture(trunk),
        "tasks": sorted(restored.state["groups"]),
        "checkpoint": restored.checkpoint,
        "cost": restored.state["cost"],
    }
    if block4 is not None:
        block4 = _copy(block4, settings)
    return Pretrained(trunk, block4, description)


def copy(trunk: Trunk) -> Trunk:
    """Returns a new trunk with the same settings and weights."""
    config = trunk.config
    return _copy(
        trunk,
        _TrunkSettings(
            output_stride=config.output_stride, mixed_precision=config.mixed_precision
        ),
    )


def _copy(model: Model, settings: _TrunkSettings) -> Model:
    """A new model of the same class and weights with other settings."""
    config = dataclasses.replace(model.config, **settings)
    copy = type(model)(config)
    copy.set_weights(model.get_weights())
    return copy
