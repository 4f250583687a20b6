"""Flags whose values are paths; every command defines them by these functions.

A leading `~` is expanded. An address such as gs://bucket/folder is an error while flags
are parsed, before a command writes anything, except for `define_readable`.
tests/command_line/test_path_flags.py checks that every flag with a text value either is
defined here or is listed there as not a path.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from absl import flags

from selfsup.common import paths
from selfsup.common.errors import UserError

# The flags belong to the modules that call the functions below.
flags.disclaim_key_flags()

_Parsed = Union[str, "list[str]"]
if TYPE_CHECKING:
    _ArgumentParser = flags.ArgumentParser[_Parsed]
    # A flag without a default may be None. Commands make such flags required later, by
    # functions of absl that a type checker does not follow.
    _Flag = flags.FlagHolder[Any]
else:
    # Not generic in absl 1.4, the newest version for some Pythons.
    _ArgumentParser = flags.ArgumentParser


class PathParser(_ArgumentParser):
    """Parses a path.

    Attributes:
      may_be_empty: whether "" is valid; a command treats it like an absent flag.
    """

    syntactic_help = "a path"

    def __init__(self, may_be_empty: bool = False) -> None:
        super().__init__()
        self.may_be_empty = may_be_empty

    def parse(self, argument: str | Sequence[str]) -> _Parsed:
        """Returns the value of the flag.

        Raises:
          ValueError: the argument is invalid; absl reports it with the flag's name.
        """
        if not argument and not self.may_be_empty:
            raise ValueError("is empty; expected a path")
        try:
            return self.read(argument)
        except UserError as error:
            raise ValueError(str(error)) from error

    def read(self, argument: Any) -> _Parsed:
        """Does the work of `parse`; raises `UserError` (see `paths.local`)."""
        return paths.local(argument)

    def flag_type(self) -> str:
        return "path"


class ReadableParser(PathParser):
    """Parses a path, or an address that a file system of TensorFlow can read."""

    syntactic_help = "a path, or an address that TensorFlow can read"

    def read(self, argument: str) -> str:
        return paths.readable(argument)

    def flag_type(self) -> str:
        return "path or address"


class PathsParser(PathParser):
    """Parses paths separated by commas; an existing path with commas is one path."""

    syntactic_help = "paths separated by commas"

    def read(self, argument: str | Sequence[str]) -> list[str]:
        if not isinstance(argument, str):
            return list(argument)
        whole = os.path.expanduser(argument)
        if "," not in argument or os.path.exists(whole):
            return [paths.local(argument)]
        parts = argument.split(",")
        if not all(parts):
            raise UserError("has an empty part; expected paths separated by commas")
        return [paths.local(part) for part in parts]

    def flag_type(self) -> str:
        return "paths"


class NamesOrFileParser(PathParser):
    """Parses a text; after a leading @, the rest is the path of a file."""

    syntactic_help = "a text, or @ and the path of a file"

    def read(self, argument: str) -> str:
        if argument.startswith("@"):
            return f"@{paths.local(argument[1:])}"
        return argument

    def flag_type(self) -> str:
        return "text or @path"


def define_path(
    name: str, default: str | None, text: str, *, required: bool = False
) -> _Flag:
    """Defines a flag for one path of this machine's file system.

    Args:
      name: of the flag.
      default: value of an absent flag. With the default "", an empty value is valid.
      text: help text.
      required: whether the flag must be given.
    """
    return _define(PathParser, name, default, text, required=required)


def define_readable(
    name: str, default: str | None, text: str, *, required: bool = False
) -> _Flag:
    """Defines a flag for one path that only TensorFlow reads; see `define_path`.

    The value may be an address for which the installed TensorFlow has a file system, such
    as gs://bucket/folder.
    """
    return _define(ReadableParser, name, default, text, required=required)


def define_paths(
    name: str, default: str | None, text: str, *, required: bool = False
) -> _Flag:
    """Defines a flag for paths separated by commas; see `define_path`.

    The value is a list of strings.
    """
    return _define(PathsParser, name, default, text, required=required)


def define_names_or_file(name: str, default: str | None, text: str) -> _Flag:
    """Defines a flag for a text, or for @PATH of a file with the text."""
    return _define(NamesOrFileParser, name, default, text)


def positional(name: str, value: str) -> str:
    """Returns the path in an argument that is not a flag.

    Args:
      name: what the help text calls the argument.
      value: the argument.

    Raises:
      UserError: see `paths.local`; the message begins with name and value.
    """
    try:
        return paths.local(value)
    except UserError as error:
        raise UserError(f"{name} {value}: {error}") from error


def _define(
    parser_class: type[PathParser],
    name: str,
    default: str | None,
    text: str,
    *,
    required: bool = False,
) -> _Flag:
    serializer: flags.ArgumentSerializer[Any] = (
        flags.CsvListSerializer(",")
        if parser_class is PathsParser
        else flags.ArgumentSerializer()
    )
    return flags.DEFINE(
        parser_class(may_be_empty=default == ""),
        name,
        default,
        text,
        serializer=serializer,
        required=required,
    )
