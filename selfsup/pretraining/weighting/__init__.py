"""The registry of methods that weight tasks during training (paper section 7).

It maps names to "module:class", so that listing the methods does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from selfsup.common import overrides

if TYPE_CHECKING:
    from selfsup.pretraining.weighting.weighting import Weighting


class Method(NamedTuple):
    """A method of weighting.

    Attributes:
      path: "module:class" of its `Weighting`.
      description: a line for `--help`, with the publication.
    """

    path: str
    description: str


NONE = "none"
_HERE = "selfsup.pretraining.weighting"
REGISTRY = {
    "uncertainty": Method(
        f"{_HERE}.uncertainty:UncertaintyWeighting",
        "more to tasks whose loss has fallen far (Kendall et al., CVPR 2018)",
    ),
    "gradnorm": Method(
        f"{_HERE}.gradnorm:GradNorm",
        "equal updates of the trunk, more to tasks whose loss has fallen little (Chen et "
        "al., ICML 2018)",
    ),
}


def descriptions() -> dict[str, str]:
    """Returns a line for each value of `RunConfig.weighting`."""
    methods = {name: method.description for name, method in REGISTRY.items()}
    return {NONE: "constant rates", **methods}


def build(name: str, tasks: Iterable[str]) -> Weighting | None:
    """Returns the weighting that is registered as `name`, or None for `NONE`.

    Args:
      name: of the method.
      tasks: names of the tasks of the run.

    Raises:
      UserError: if no method has this name; the message lists all names.
    """
    if name == NONE:
        return None
    method = overrides.look_up("weighting", name, REGISTRY)
    module, class_name = method.path.split(":")
    weighting: Weighting = getattr(importlib.import_module(module), class_name)(tasks)
    return weighting
