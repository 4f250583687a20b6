"""Flags that hold paths: every binary of ours defines them by these functions.

A leading `~` is expanded. An address such as gs://bucket/folder is refused while flags
are parsed, so before anything is made, except by `define_readable`.
tests/test_path_flags.py holds that each text flag is one of these or no path.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from absl import flags

from selfsup.common import paths
from selfsup.common.errors import UserError

# The module that calls these functions owns the flags, not this one.
flags.disclaim_key_flags()


class PathParser(flags.ArgumentParser):
    """Parses one path.

    Attributes:
      may_be_empty: whether "" is a value; it means that the flag is not given.
    """

    syntactic_help = "a path"

    def __init__(self, may_be_empty: bool = False):
        super().__init__()
        self.may_be_empty = may_be_empty

    def parse(self, argument):
        """The path; raises ValueError, as absl has it, for what is refused."""
        if not argument and not self.may_be_empty:
            raise ValueError("is empty; expected a path")
        return _told(self.read, argument)

    def read(self, argument: str):
        """What `parse` gives, with errors as of `paths.local`."""
        return paths.local(argument)

    def flag_type(self) -> str:
        return "path"


class ReadableParser(PathParser):
    """Parses a path or an address that TensorFlow's file systems may read."""

    syntactic_help = "a path, or an address that TensorFlow can read"

    def read(self, argument: str) -> str:
        return paths.readable(argument)

    def flag_type(self) -> str:
        return "path or address"


class PathsParser(PathParser):
    """Parses paths separated by commas; an existing path with commas is one path."""

    syntactic_help = "paths separated by commas"

    def read(self, argument) -> list[str]:
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
    """Parses a text in which a leading @ says that the rest is the path of a file."""

    syntactic_help = "a text, or @ and the path of a file"

    def read(self, argument: str) -> str:
        if argument.startswith("@"):
            return f"@{paths.local(argument[1:])}"
        return argument

    def flag_type(self) -> str:
        return "text or @path"


def define_path(
    name: str, default: str | None, text: str, *, required: bool = False
) -> flags.FlagHolder:
    """Defines a flag for one path of this machine's file system.

    Args:
      name, default, text, required: as of absl's `DEFINE_string`. With the default "",
        an empty value is accepted and stands for a flag that was not given.
    """
    return _define(PathParser, name, default, text, required=required)


def define_readable(
    name: str, default: str | None, text: str, *, required: bool = False
) -> flags.FlagHolder:
    """Defines a flag for one path that nothing but TensorFlow reads.

    Its value may be an address that TensorFlow here has a file system for, such as gs://.
    """
    return _define(ReadableParser, name, default, text, required=required)


def define_paths(
    name: str, default: str | None, text: str, *, required: bool = False
) -> flags.FlagHolder:
    """Defines a flag for paths separated by commas; its value is a list of strings."""
    return _define(PathsParser, name, default, text, required=required)


def define_names_or_file(name: str, default: str | None, text: str) -> flags.FlagHolder:
    """Defines a flag for a text, or for @PATH of a file that holds it."""
    return _define(NamesOrFileParser, name, default, text)


def positional(name: str, value: str) -> str:
    """The path that an argument without a flag holds.

    Args:
      name: what `--help` calls the argument.
      value: the argument.

    Raises:
      UserError: as of `paths.local`, with name and value.
    """
    try:
        return paths.local(value)
    except UserError as error:
        raise UserError(f"{name} {value}: {error}") from error


def _define(parser, name, default, text, **options):
    made = parser(may_be_empty=default == "")
    serializer = (
        flags.CsvListSerializer(",")
        if parser is PathsParser
        else flags.ArgumentSerializer()
    )
    return flags.DEFINE(made, name, default, text, serializer=serializer, **options)


def _told(read: Callable, argument):
    """`read(argument)`, with a UserError turned into what absl expects of a parser."""
    try:
        return read(argument)
    except UserError as error:
        raise ValueError(str(error)) from error
