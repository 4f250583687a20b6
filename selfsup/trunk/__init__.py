"""Trunks: the registry, which is the only place that lists them (paper section 3.1).

It maps kinds to "module:class", so that listing the trunks does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from selfsup.common import checks

if TYPE_CHECKING:
    from selfsup.trunk.trunk import Tail, Trunk, TrunkConfig


class Kind(NamedTuple):
    """A line of the registry.

    Attributes:
      location: "module:class" of the `Trunk` subclass.
      depths: the keys of its `depths`. The first is the default; "tiny" is for CPUs.
    """

    location: str
    depths: tuple[str, ...]


REGISTRY = {
    "resnet_v2": Kind(
        "selfsup.trunk.resnet_v2:ResNetV2",
        ("101", "50", "152", "tiny", "tiny_shallow"),
    ),
    "vgg": Kind("selfsup.trunk.vgg:Vgg", ("16", "19", "tiny")),
    "densenet": Kind("selfsup.trunk.densenet:DenseNet", ("121", "169", "201", "tiny")),
}


def trunk_class(kind: str) -> type[Trunk]:
    """Imports and returns the `Trunk` subclass that is registered as `kind`.

    Raises:
      UserError: if no trunk is of this kind; the message lists all kinds.
    """
    checks.require_choice("kind", kind, REGISTRY)
    module, class_name = REGISTRY[kind].location.split(":")
    trunk: type[Trunk] = getattr(importlib.import_module(module), class_name)
    return trunk


def build_trunk(config: TrunkConfig, name: str = "trunk") -> Trunk:
    """Builds a trunk with new weights."""
    return trunk_class(config.kind)(config, name=name)


def build_tail(config: TrunkConfig, name: str = "block4") -> Tail:
    """Builds what follows the trunk in a classification network, with new weights."""
    return trunk_class(config.kind).build_tail(config, name)


def suitable_depth(kind: str, depth: str) -> str:
    """Returns `depth` if trunks of this kind have it, otherwise their default depth.

    Raises:
      UserError: if no trunk is of this kind.
    """
    depths = trunk_class(kind).depths
    return depth if depth in depths else next(iter(depths))


def describe() -> str:
    """Lists all kinds with their depths, for help: "resnet_v2 (101, 50), ..."."""
    return ", ".join(
        f"{name} ({', '.join(kind.depths)})" for name, kind in REGISTRY.items()
    )
