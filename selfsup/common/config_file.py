"""The resolved configuration beside a run's checkpoints: one folder, one run."""

import dataclasses
import json
import os

from selfsup.common import files
from selfsup.common.errors import UserError

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
        old = _completed(read(folder), config)
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


def _completed(stored, config):
    """`stored` with what its dataclasses have come to have since, at the defaults.

    A field that an earlier version did not have was as the default is.

    Args:
      stored: what was read of `config`, or of a part of it.
      config: the dataclass, a dict of dataclasses, or whatever else is in one.
    """
    if not isinstance(stored, dict):
        return stored
    if dataclasses.is_dataclass(config):
        stored = {**_defaults(config), **stored}
        parts = vars(config)
    else:
        parts = config if isinstance(config, dict) else {}
    return {key: _completed(value, parts.get(key)) for key, value in stored.items()}


def _defaults(config):
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }
    return json.loads(json.dumps(defaults))


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
