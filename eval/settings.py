"""What shapes one run of an evaluation: common settings and its own hyperparameters."""

import dataclasses
from typing import Any, Optional

from selfsup.common import overrides
from selfsup.trunk.resnet_v2 import DEPTHS


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of an evaluation's hyperparameters.

    Attributes:
      description: one line for people.
      depth: of the random trunk, key of `trunk.resnet_v2.DEPTHS`.
      config: overrides of the evaluation's config dataclass, whose defaults are the
        paper's.
    """

    description: str
    depth: str
    config: dict


@dataclasses.dataclass(frozen=True)
class Settings:
    """A run of an evaluation.

    Attributes:
      trunk: folder of an export or of a pretraining run, or "random".
      checkpoint: of a pretraining run, or None for its newest.
      data: folder at or below which the built set is.
      output: folder of the run.
      preset: name of the preset that it started from.
      depth: of a random trunk.
      lasso: weight of the L1 penalty on the evaluation's row of alpha; 0 for none.
      seed: of everything random.
      mixed_precision: whether the trunk computes in bfloat16.
      config: the evaluation's config dataclass; it has the field `steps`. Its
        `superseded`, where it has one, names the fields that its others make void.
    """

    trunk: str
    checkpoint: Optional[str]
    data: str
    output: str
    preset: str
    depth: str
    lasso: float
    seed: int
    mixed_precision: bool
    config: Any

    @property
    def may_change(self):
        """Names of fields in which a run and its continuation may differ."""
        superseded = getattr(self.config, "superseded", ())
        return ("output", *(f"config.{name}" for name in superseded))


def resolve(
    config_class, presets, *, preset, depth=None, steps=None, texts=(), **common
):
    """Resolves what the command line gives.

    Args:
      config_class: the evaluation's frozen config dataclass.
      presets: dict of `Preset` by name.
      preset: name in it.
      depth: of a random trunk, or None for the preset's.
      steps: overrides the config's `steps`, or None.
      texts: strings "KEY=VALUE" that override fields of the config.
      **common: the other fields of `Settings`.

    Raises:
      UserError: for unknown names, with the list of known ones, and for values of the
        wrong type.
    """
    chosen = overrides.look_up("--preset", preset, presets)
    config = dataclasses.replace(config_class(), **chosen.config)
    config = overrides.apply(config, texts, "--set")
    if steps is not None:
        config = dataclasses.replace(config, steps=steps)
    depth = depth or chosen.depth
    overrides.look_up("--depth", depth, DEPTHS)
    return Settings(preset=preset, depth=depth, config=config, **common)
