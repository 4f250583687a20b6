"""Refuses to add results on some data to results on other data."""

from __future__ import annotations

from collections.abc import Sequence

from launch.studies import study_data
from launch.studies.cell import Cell
from launch.studies.cell_state import CellFolder
from selfsup.common.errors import UserError


def require_same_data(cells: Sequence[Cell], output: str) -> None:
    """Compares the data sets of started cells with what their folders hold now.

    Fingerprints already separate the results of different existing sets. This is for sets
    that the study builds, which may have been built again. A folder without data sets is
    left to the cells that still need it.

    Args:
      cells: of the study.
      output: folder of the study.

    Raises:
      UserError: if a data set has changed; the message names cell and folder.
    """
    now: dict[str, str] = {}
    for each in cells:
        record = CellFolder(output, each).read() if each.reads else None
        for folder, content in record.data.items() if record else ():
            if folder not in now:
                now.update(study_data.contents([folder]))
            if content and now[folder] and content != now[folder]:
                raise UserError(
                    f"{folder}: these data sets have changed since the cell "
                    f"{each.name!r} read them (checksum {content[:12]}, now "
                    f"{now[folder][:12]}). Restore them, or give another output folder"
                )
