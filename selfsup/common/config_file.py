"""The resolved configuration of a run, stored beside its checkpoints as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from selfsup.common import files
from selfsup.common.errors import UserError, error_reason

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILE_NAME = "config.json"


def save_or_compare(
    config: DataclassInstance,
    folder: str,
    setting: str,
    may_change: Collection[str] = (),
) -> None:
    """Writes the configuration of a run, or compares it with the stored configuration.

    Args:
      config: a dataclass whose fields are JSON types, dataclasses or dicts of these.
      folder: of the run.
      setting: name of the setting that gives the folder, for errors.
      may_change: names of the fields that may change when a run resumes, such as "seed"
        or, for a nested field, "config.steps".

    Raises:
      UserError: the folder holds a run with another configuration; the message lists the
        differences.
    """
    path = os.path.join(folder, FILE_NAME)
    # JSON turns tuples into lists, so it makes the new values comparable with stored ones.
    new = json.loads(json.dumps(dataclasses.asdict(config)))
    if os.path.exists(path):
        old = _with_defaults(read(folder), config)
        _refuse_differences(path, old, new, setting, may_change)
    files.write_atomically(path, json.dumps(new, indent=1))


def read(folder: str) -> dict[str, Any]:
    """Returns the stored fields as JSON types.

    Raises:
      UserError: the folder has no readable configuration.
    """
    path = os.path.join(folder, FILE_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not the config of a run: {error_reason(error)}"
        ) from error


def _with_defaults(stored: Any, config: object) -> Any:
    """Adds the fields that the dataclass has gained since `stored` was written.

    A run behaved like the default of a field before the field existed.

    Args:
      stored: JSON value read for `config`, or for a part of it.
      config: the dataclass, a dict of dataclasses, or another value inside them.
    """
    if not isinstance(stored, dict):
        return stored
    parts: dict[str, object] = {}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        stored = {**_defaults(config), **stored}
        parts = vars(config)
    elif isinstance(config, dict):
        parts = config
    return {key: _with_defaults(value, parts.get(key)) for key, value in stored.items()}


def _defaults(config: DataclassInstance) -> dict[str, Any]:
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }
    return json.loads(json.dumps(defaults))


def _refuse_differences(
    path: str,
    old: dict[str, Any],
    new: dict[str, Any],
    setting: str,
    may_change: Collection[str],
) -> None:
    old, new = _flatten(old), _flatten(new)
    differences = [
        f"{key} was {old.get(key)!r}, now {new.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and key not in may_change
    ]
    if differences:
        raise UserError(
            f"{path}: this folder holds a run of another configuration: "
            f"{'; '.join(differences)}. Give another {setting}, or the same settings"
        )


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested dicts by names such as "trunk.depth"."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
