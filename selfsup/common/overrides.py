"""Texts such as "KEY=VALUE" that override fields of frozen config dataclasses."""

import dataclasses
import json
import math

from selfsup.common import paths
from selfsup.common.errors import UserError

# In the metadata of a str field that holds a path: {PATH: True}.
PATH = "path"


def apply(config, texts, flag):
    """`config` with the fields that `texts` override, all at once.

    Args:
      config: a frozen dataclass.
      texts: strings "KEY=VALUE"; of one key, the last counts.
      flag: name of the flag that they come from, for errors.

    Raises:
      UserError: for unknown keys, with the list of known ones, for values of another
        type than the default's, and for those that the dataclass refuses.
    """
    values = {}
    for text in texts:
        key, value = split(text, "=", flag, "KEY=VALUE")
        values[key] = _read(config, key, value, f"{flag}={text}")
    return _replaced(config, values, ", ".join(f"{flag}={text}" for text in texts))


def override(config, key, value, flag):
    """`config` with field `key` read from the text `value`; errors as of `apply`."""
    return _replaced(config, {key: _read(config, key, value, flag)}, flag)


def _read(config, key, value, flag):
    fields = {field.name: field for field in dataclasses.fields(config)}
    field = look_up(flag, key, fields)
    read = parse(value, type(getattr(config, key)), flag)
    if not field.metadata.get(PATH):
        return read
    try:
        return paths.local(read)
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error


def _replaced(config, values, flag):
    try:
        return dataclasses.replace(config, **values)
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error


def look_up(flag, name, table):
    """`table[name]`, or a `UserError` that lists the table's keys."""
    if name not in table:
        raise UserError(f"{flag}: unknown {name!r}; known: {', '.join(sorted(table))}")
    return table[name]


def split(text, separator, flag, form):
    """The two parts of `text`; a `UserError` that gives `form` where it has not two."""
    left, found, right = text.partition(separator)
    if not (found and left and right):
        raise UserError(f"{flag}={text}: expected {form}")
    return left, right


def parse(text, kind, flag):
    """Reads `text` as a value of the type `kind`."""
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if kind is float and not math.isfinite(float(text)):
            raise ValueError
        if kind in (int, float, str):
            return kind(text)
        value = json.loads(text)
        return tuple(value) if kind is tuple else value
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{flag}: expected {kind.__name__}, got {text!r}") from error
