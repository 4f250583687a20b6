"""Cells: the commands of a study, each with what it needs and where it writes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Literal

from launch.pipeline.commands import option

Kind = Literal["data", "pretraining", "evaluation"]

# Flags whose values are several, separated by blanks: the flag is repeated.
_REPEATED = ("set", "task_set", "trunk_set")
_FINGERPRINT_DIGITS = 8
# File systems allow 255 bytes.
_MOST_CHARACTERS = 150


@dataclasses.dataclass(frozen=True)
class Cell:
    """One command of a study.

    Attributes:
      name: unique and readable.
      kind: what it makes.
      module: dotted name of the command's module.
      flags: flags of the command by name, without the dashes.
      folder: output folder or file of the command, relative to the folder of the study.
      finished: paths relative to the folder of the study that all exist when the command
        has finished.
      fingerprint: hexadecimal digits; equal for equal settings, data and needed cells.
      settings: what `fingerprint` is the digest of, as JSON types.
      needs: names of the cells that have to finish first.
      reads: folders of the built data sets that it reads.
      rows: names of the study's rows that it serves; empty for data.
      seed: its seed; 0 for data.
      snapshot: number of the snapshot that it evaluates; 0 for a random trunk, for a
        pretraining and for data.
      evaluation: name of the evaluation; "" for the other kinds.
    """

    name: str
    kind: Kind
    module: str
    flags: Mapping[str, str]
    folder: str
    finished: tuple[str, ...]
    fingerprint: str
    settings: Mapping[str, object]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    seed: int = 0
    snapshot: int = 0
    evaluation: str = ""

    @property
    def identity(self) -> str:
        """Name of the cell's folder of state, unique for its settings and data."""
        return with_fingerprint(self.name, self.fingerprint)

    @property
    def command(self) -> str:
        """The command line that a person would type."""
        return shlex.join(["python", "-m", self.module, *self._arguments()])

    def process_arguments(self) -> list[str]:
        """Returns the arguments that start the command with this Python."""
        return [sys.executable, "-m", self.module, *self._arguments()]

    def _arguments(self) -> list[str]:
        arguments = []
        for name, value in self.flags.items():
            values = value.split() if name in _REPEATED else [value]
            arguments += [option(name, each) for each in values]
        return arguments

    def to_json(self) -> dict[str, object]:
        """Returns the cell as JSON types."""
        return dataclasses.asdict(self)


def from_json(fields: Mapping[str, object]) -> Cell:
    """Returns the cell that `Cell.to_json` has made `fields` of.

    Raises:
      TypeError: if the fields are others.
    """
    lists = {
        name: tuple(value) for name, value in fields.items() if isinstance(value, list)
    }
    return Cell(**{**fields, **lists})  # type: ignore[arg-type]


def digest(settings: Mapping[str, object]) -> str:
    """Returns the fingerprint of settings, which are JSON types."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_fingerprint(name: str, fingerprint: str) -> str:
    """Returns a file name for `name` that other fingerprints do not share."""
    return f"{file_name(name)}-{fingerprint[:_FINGERPRINT_DIGITS]}"


def file_name(text: str) -> str:
    """Returns a file name: `text` without blanks and what shells may change."""
    return re.sub(r"[^A-Za-z0-9_+=.]+", "-", text).strip("-")[:_MOST_CHARACTERS]
