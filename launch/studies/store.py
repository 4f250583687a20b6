"""What a study leaves in its folder beside its cells: its declaration and its grid."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from launch.studies import cell, study_file
from launch.studies.cell import Cell
from launch.studies.study import Study
from selfsup.common import files
from selfsup.common.errors import SettingError, UserError, error_reason

FOLDER = "studies"


def save(study: Study, cells: Sequence[Cell], output: str) -> None:
    """Writes OUTPUT/studies/NAME.json; several studies may share a folder and cells."""
    folder = os.path.join(output, FOLDER)
    content = {
        "study": study_file.to_json(study),
        "cells": [each.to_json() for each in cells],
    }
    path = os.path.join(folder, f"{cell.file_name(study.name)}.json")
    try:
        os.makedirs(folder, exist_ok=True)
        files.write_atomically(path, json.dumps(content, indent=1))
    except OSError as error:
        raise SettingError(
            f"output={output}", f"cannot be written: {error_reason(error)}"
        ) from error


def names(output: str) -> list[str]:
    """Returns the names of the studies in a folder, sorted."""
    folder = os.path.join(output, FOLDER)
    if not os.path.isdir(folder):
        return []
    return sorted(
        name[: -len(".json")] for name in os.listdir(folder) if name.endswith(".json")
    )


def read(output: str, name: str | None = None) -> tuple[Study, tuple[Cell, ...]]:
    """Reads a study of a folder.

    Args:
      output: folder of the study.
      name: name of the study; None if the folder holds only one.

    Returns:
      (study, cells)

    Raises:
      UserError: if there is no such study, or several and no name, or a damaged file.
    """
    known = names(output)
    if not known:
        raise UserError(
            f"{output}: no study here; expected the output folder of python -m "
            "launch.study"
        )
    if name is None and len(known) > 1:
        raise UserError(
            f"{output}: holds several studies: {', '.join(known)}; name one"
        )
    chosen = known[0] if name is None else cell.file_name(name)
    path = os.path.join(output, FOLDER, f"{chosen}.json")
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        cells = tuple(cell.from_json(each) for each in content["cells"])
        return study_file.from_json(content["study"], path), cells
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a study: {error_reason(error)}; studies here: {', '.join(known)}"
        ) from error
