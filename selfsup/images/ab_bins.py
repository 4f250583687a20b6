"""The 313 quantised ab colours of Zhang et al. (ECCV 2016) and their frequencies.

The bins are the cells of a grid of step 10 on the ab plane that the sRGB gamut
reaches. `ab_bins.csv` holds their published centres and how often each occurs in
ImageNet; a prior measured on other photos is a file of the same columns.
"""

import csv
import functools
import pathlib

import numpy as np

from selfsup.common.errors import UserError

COUNT = 313
COLUMNS = ("a", "b", "prior")
_PUBLISHED = pathlib.Path(__file__).with_name("ab_bins.csv")
# A hand-edited prior may be rounded; a file of counts or percents is a mistake.
_SUM_TOLERANCE = 1e-3


def centres():
    """Bin centres, float32 [313, 2]: a and b, in [-90, 100] and [-110, 100]."""
    return _published()[:, :2].astype(np.float32)


def imagenet_prior():
    """Frequency of each bin among ImageNet's pixels, float32 [313], sum 1."""
    return _normalised(_published()[:, 2])


def read_prior(path):
    """Reads the prior of a CSV file with the columns a, b and prior.

    Args:
      path: the file; its rows are the bins in the order of `centres()`.

    Returns:
      float32 [313], non-negative, sum 1.

    Raises:
      UserError: if the file cannot be read or is anything else.
    """
    table = _read_table(path)
    if table.shape != (COUNT, 3) or not np.array_equal(table[:, :2], centres()):
        raise UserError(
            f"{path}: expected the {COUNT} ab bins of selfsup/images/ab_bins.csv in "
            f"its order, one a row; got {len(table)} rows"
            + (" with other centres" if len(table) == COUNT else "")
        )
    prior = table[:, 2]
    if not np.all(prior >= 0) or abs(prior.sum() - 1) > _SUM_TOLERANCE:
        raise UserError(
            f"{path}: column prior must be non-negative and sum to 1; "
            f"its minimum is {prior.min():g} and its sum {prior.sum():g}"
        )
    return _normalised(prior)


def write_prior(path, prior):
    """Writes a prior, [313] in the order of `centres()`, as `read_prior` reads it."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (a, b), value in zip(centres(), np.asarray(prior, np.float64)):
            writer.writerow([f"{a:g}", f"{b:g}", f"{value:.9g}"])


@functools.cache
def _published():
    return _read_table(_PUBLISHED)


def _normalised(prior):
    return (prior / prior.sum()).astype(np.float32)


def _read_table(path):
    """Reads a CSV with `COLUMNS` as float64 [rows, 3]."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
            if tuple(header) != COLUMNS:
                raise UserError(
                    f"{path}: expected a first line {','.join(COLUMNS)!r}, "
                    f"got {','.join(header)!r}"
                )
            return np.array([[float(cell) for cell in row] for row in rows])
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a CSV file of a color prior: {error}") from error
