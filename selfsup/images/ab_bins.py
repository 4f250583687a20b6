"""The 313 quantised ab colours of Zhang et al. (ECCV 2016) and their frequencies.

The bins are the cells of a grid with step 10 on the ab plane that the sRGB gamut reaches.
`ab_bins.csv` contains their published centres and their frequencies in ImageNet; a prior
measured on other photos is a file with the same columns.
"""

from __future__ import annotations

import csv
import functools
import os
import pathlib
from typing import TYPE_CHECKING, Union

import numpy as np

from selfsup.common.errors import UserError, error_reason

if TYPE_CHECKING:
    import numpy.typing as npt

COUNT = 313
COLUMNS = ("a", "b", "prior")
_PUBLISHED = pathlib.Path(__file__).with_name("ab_bins.csv")
# Largest deviation of a prior's sum from 1. Rounding in a file edited by hand stays
# below it; counts or percentages do not.
_SUM_TOLERANCE = 1e-3

_Path = Union[str, "os.PathLike[str]"]


def centres() -> npt.NDArray[np.float32]:
    """Returns the bin centres: float32 [313, 2], a in [-90, 100], b in [-110, 100]."""
    return _published()[:, :2].astype(np.float32)


def imagenet_prior() -> npt.NDArray[np.float32]:
    """Returns each bin's frequency among ImageNet's pixels: float32 [313], sum 1."""
    return _normalised(_published()[:, 2])


def read_prior(path: _Path) -> npt.NDArray[np.float32]:
    """Reads the prior in a CSV file with the columns a, b and prior.

    Args:
      path: of the file; its rows are the bins in the order of `centres()`.

    Returns:
      float32 [313], non-negative, sum 1.

    Raises:
      UserError: the file cannot be read, or is not such a table.
    """
    table = _read_table(path)
    if table.shape != (COUNT, 3) or not np.array_equal(table[:, :2], centres()):
        raise UserError(
            f"{path}: expected the {COUNT} ab bins of selfsup/images/ab_bins.csv, one "
            f"per row, in the same order; got {len(table)} rows"
            + (" with other centres" if len(table) == COUNT else "")
        )
    prior = table[:, 2]
    if not np.all(prior >= 0) or abs(prior.sum() - 1) > _SUM_TOLERANCE:
        raise UserError(
            f"{path}: column prior must be non-negative and sum to 1; "
            f"its minimum is {prior.min():g} and its sum {prior.sum():g}"
        )
    return _normalised(prior)


def write_prior(path: _Path, prior: npt.ArrayLike) -> None:
    """Writes a prior in the format that `read_prior` reads.

    Args:
      path: of the file.
      prior: [313] frequencies, in the order of `centres()`.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (a, b), value in zip(centres(), np.asarray(prior, np.float64)):
            writer.writerow([f"{a:g}", f"{b:g}", f"{value:.9g}"])


@functools.cache
def _published() -> npt.NDArray[np.float64]:
    return _read_table(_PUBLISHED)


def _normalised(prior: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return (prior / prior.sum()).astype(np.float32)


def _read_table(path: _Path) -> npt.NDArray[np.float64]:
    """Reads a CSV file with `COLUMNS` as [rows, 3]."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        _check_header(path, header)
        return np.array([[float(cell) for cell in row] for row in rows])
    except UserError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path}: not a CSV file of a color prior: {error_reason(error)}"
        ) from error


def _check_header(path: _Path, header: list[str]) -> None:
    if tuple(header) != COLUMNS:
        raise UserError(
            f"{path}: expected a first line {','.join(COLUMNS)!r}, "
            f"got {','.join(header)!r}"
        )
