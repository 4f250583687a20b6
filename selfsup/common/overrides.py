"""Overrides fields of frozen config dataclasses by strings such as "KEY=VALUE"."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from selfsup.common import paths
from selfsup.common.errors import SettingError, UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Key in the metadata of a str field that holds a path: {PATH: True}.
PATH = "path"

_Value = TypeVar("_Value")
_Config = TypeVar("_Config", bound="DataclassInstance")


def apply(config: _Config, assignments: Iterable[str], setting: str) -> _Config:
    """Returns `config` with the fields that `assignments` override, all at once.

    Args:
      config: a frozen dataclass.
      assignments: strings "KEY=VALUE"; the last for a key counts.
      setting: name of the argument or flag that the strings come from, for errors.

    Raises:
      UserError: a key is unknown, a value does not have the type of the field's default,
        or the dataclass rejects a value.
    """
    assignments = tuple(assignments)
    values: dict[str, object] = {}
    for text in assignments:
        key, value = split(text, "=", setting, "KEY=VALUE")
        values[key] = _read(config, key, value, f"{setting}={text}")
    return _replace(
        config, values, ", ".join(f"{setting}={text}" for text in assignments)
    )


def override(config: _Config, key: str, value: str, setting: str) -> _Config:
    """Returns `config` with the field `key` read from the string `value`.

    Args:
      config: a frozen dataclass.
      key: name of a field.
      value: the new value as a string.
      setting: name of the argument or flag with its value, for errors.

    Raises:
      UserError: see `apply`.
    """
    return _replace(config, {key: _read(config, key, value, setting)}, setting)


def _read(config: DataclassInstance, key: str, value: str, setting: str) -> object:
    fields = {field.name: field for field in dataclasses.fields(config)}
    field = look_up(setting, key, fields)
    parsed: object = parse(value, type(getattr(config, key)), setting)
    if not field.metadata.get(PATH):
        return parsed
    try:
        return paths.local(cast(str, parsed))
    except UserError as error:
        raise SettingError(setting, str(error)) from error


def _replace(config: _Config, values: dict[str, Any], setting: str) -> _Config:
    try:
        return dataclasses.replace(config, **values)
    except UserError as error:
        raise SettingError(setting, str(error)) from error


def look_up(setting: str, name: str, table: Mapping[str, _Value]) -> _Value:
    """Returns `table[name]`.

    Args:
      setting: the argument, flag or field that holds the name, for errors.
      name: the key.
      table: the known names with their values.

    Raises:
      UserError: the name is unknown; the message lists the known names.
    """
    if name not in table:
        raise SettingError(
            setting, f"unknown {name!r}; known: {', '.join(sorted(table))}"
        )
    return table[name]


def split(text: str, separator: str, setting: str, form: str) -> tuple[str, str]:
    """Returns the two parts of `text` at the first `separator`.

    Args:
      text: such as "KEY=VALUE".
      separator: such as "=".
      setting: the argument or flag that the text comes from, for errors.
      form: what the text should look like, for errors.

    Raises:
      UserError: the separator is missing, or one of the parts is empty.
    """
    left, middle, right = text.partition(separator)
    if not (middle and left and right):
        raise SettingError(f"{setting}={text}", f"expected {form}")
    return left, right


def parse(text: str, kind: type[_Value], setting: str) -> _Value:
    """Reads `text` as a value of the type `kind`.

    Args:
      text: "true", "false", "1" or "0" for bool; a decimal number for int and float;
        any text for str; JSON for other types.
      kind: the type.
      setting: the argument or flag that the text comes from, for errors.

    Raises:
      UserError: the text does not denote such a value; a float has to be finite.
    """
    try:
        return cast(_Value, _parse(text, kind))
    except (TypeError, ValueError, KeyError) as error:
        raise SettingError(
            setting, f"expected {kind.__name__}, got {text!r}"
        ) from error


def _parse(text: str, kind: type) -> object:
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    if kind is float and not math.isfinite(float(text)):
        raise ValueError
    if kind in (int, float, str):
        return kind(text)
    value = json.loads(text)
    return tuple(value) if kind is tuple else value
