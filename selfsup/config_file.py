"""The resolved configuration beside a run's checkpoints: one folder, one run."""

import dataclasses
import json
import os

from selfsup.data import files
from selfsup.errors import UserError

FILE_NAME = "config.json"


def save(config, folder, flag, may_change=()):
    """Writes a config dataclass, or compares it with the one that is there.

    Args:
      config: a dataclass of JSON types, dataclasses in it included.
      folder: of the run.
      flag: that names the folder, for errors.
      may_change: top-level fields in which a run and its continuation may differ.

    Raises:
      UserError: when the folder holds a run of another configuration; says what differs.
    """
    path = os.path.join(folder, FILE_NAME)
    # Through JSON, so that tuples compare as they are stored.
    new = json.loads(json.dumps(dataclasses.asdict(config)))
    if os.path.exists(path):
        # A field that an earlier version did not have was as the default is.
        old = {**_defaults(config), **read(folder)}
        _refuse_differences(path, old, new, flag, may_change)
    files.write_atomically(path, json.dumps(new, indent=1))


def read(folder):
    """The stored fields: dict of JSON types.

    Raises:
      UserError: when there are none.
    """
    path = os.path.join(folder, FILE_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the config of a run: {error}") from error


def _defaults(config):
    return {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }


def _refuse_differences(path, old, new, flag, may_change):
    old, new = _flat(old), _flat(new)
    differences = [
        f"{key} was {old.get(key)!r}, now {new.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and key not in may_change
    ]
    if differences:
        raise UserError(
            f"{path}: this folder holds a run of another configuration: "
            f"{'; '.join(differences)}. Give another {flag}, or the same flags"
        )


def _flat(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
