"""Settings of one evaluation run: common fields and the evaluation's hyperparameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from selfsup.common import checks
from selfsup.common import overrides as override_texts
from selfsup.trunk import REGISTRY, suitable_depth, trunk_class


@dataclasses.dataclass(frozen=True)
class Config:
    """Base class of the hyperparameters of an evaluation.

    Attributes:
      steps: training steps.
      batch_size: examples per step.
    """

    steps: int = 1
    batch_size: int = 1

    @property
    def superseded(self) -> tuple[str, ...]:
        """Names of fields that have no effect because of the values of other fields."""
        return ()

    def require(self, name: str, valid: bool, expected: str) -> None:
        """Raises a `UserError` that names a field, unless its value is valid.

        Args:
          name: name of the field.
          valid: whether its value is acceptable.
          expected: description of acceptable values.
        """
        checks.require(valid, name, getattr(self, name), expected)

    def require_range(self, name: str, least: float, most: float) -> None:
        """Raises a `UserError` unless the number in a field is in [least, most]."""
        checks.require_range(name, getattr(self, name), minimum=least, maximum=most)

    def require_at_least(self, name: str, least: float) -> None:
        """Raises a `UserError` if the number in a field is less than `least`."""
        checks.require_range(name, getattr(self, name), minimum=least)

    def require_positive(self, name: str) -> None:
        """Raises a `UserError` unless the number in a field is greater than 0."""
        checks.require_range(name, getattr(self, name), above=0)


ConfigT = TypeVar("ConfigT", bound=Config)


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of an evaluation's hyperparameters.

    Attributes:
      description: one line of help.
      depth: depth of a random ResNet-v2; see `suitable_depth` for other kinds.
      config: values of the fields of the evaluation's config that differ from the
        defaults, which are the values of the paper.
    """

    description: str
    depth: str
    config: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Settings(Generic[ConfigT]):
    """Everything that determines the result of an evaluation run.

    Attributes:
      trunk: folder of an exported trunk or of a pretraining run, or "random".
      checkpoint: checkpoint of the pretraining run, or None for the newest.
      data: folder of the built data set, or a folder above it.
      output: output folder of the run.
      preset: name of the preset that `config` was derived from.
      depth: depth of a random trunk.
      lasso: weight of the L1 penalty on the evaluation's row of alpha; 0 turns the lasso
        off.
      seed: seed of all random numbers.
      mixed_precision: whether the trunk computes in bfloat16.
      config: hyperparameters of the evaluation.
      trunk_kind: kind of a random trunk, a key of `selfsup.trunk.REGISTRY`.
    """

    trunk: str
    checkpoint: str | None
    data: str
    output: str
    preset: str
    depth: str
    lasso: float
    seed: int
    mixed_precision: bool
    config: ConfigT
    trunk_kind: str = "resnet_v2"

    @property
    def may_change(self) -> tuple[str, ...]:
        """Names of the fields that may differ between a run and its continuation."""
        return ("output", *(f"config.{name}" for name in self.config.superseded))


def resolve(
    config_class: type[ConfigT],
    presets: Mapping[str, Preset],
    *,
    preset: str,
    depth: str | None = None,
    trunk_kind: str = "resnet_v2",
    steps: int | None = None,
    overrides: Iterable[str] = (),
    **common: Any,
) -> Settings[ConfigT]:
    """Resolves a preset and the values that override it.

    Args:
      config_class: class of the evaluation's hyperparameters.
      presets: presets by name.
      preset: name of the preset to start from.
      depth: depth of a random trunk, or None for the depth of the preset if trunks of
        this kind have it, otherwise for their default depth.
      trunk_kind: kind of a random trunk.
      steps: overrides the `steps` of the config, unless None.
      overrides: strings "KEY=VALUE" that override fields of the config.
      **common: the other fields of `Settings`.

    Raises:
      UserError: for an unknown name, with the list of known names, and for a value of
        the wrong type or out of range.
    """
    chosen = override_texts.look_up("preset", preset, presets)
    config = dataclasses.replace(config_class(), **chosen.config)
    config = override_texts.apply(config, overrides, "set")
    if steps is not None:
        config = dataclasses.replace(config, steps=steps)
    override_texts.look_up("trunk_kind", trunk_kind, REGISTRY)
    depth = depth or suitable_depth(trunk_kind, chosen.depth)
    override_texts.look_up("depth", depth, trunk_class(trunk_kind).depths)
    return Settings(
        preset=preset, depth=depth, config=config, trunk_kind=trunk_kind, **common
    )
