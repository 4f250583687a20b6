"""Cells of a study's tables: a mean over seeds, a difference of rows, a missing number."""

from __future__ import annotations

from launch.reports import wording
from launch.reports.document import Cell
from launch.reports.metrics import Metric
from launch.reports.samples import Comparison, Sample


def number(sample: Sample, metric: Metric, paper: str = "", extra: str = "") -> Cell:
    """Returns a cell with a mean over seeds, its spread, and the paper's number.

    Args:
      sample: numbers by seed; empty where nothing is measured.
      metric: their metric, which says how many digits are shown.
      paper: the paper's number as printed, or "".
      extra: a further line.
    """
    lines = []
    if sample.count:
        lines.append(spread(sample, metric))
    if paper:
        printed = f"paper {paper}"
        if sample.count:
            gap = wording.signed(sample.mean - float(paper), metric.digits)
            printed = f"{printed} ({gap})"
        lines.append(printed)
    if extra:
        lines.append(extra)
    if not sample.count:
        return Cell(wording.MISSING, "\n".join(lines), missing=True)
    return Cell(
        f"{sample.mean:.{metric.digits}f}", "\n".join(lines), sources=sample.sources
    )


def spread(sample: Sample, metric: Metric) -> str:
    """Returns the standard deviation over seeds, and how many seeds there are."""
    if sample.spread is None:
        return "± unknown, n = 1"
    return f"± {sample.spread:.{metric.digits}f}, n = {sample.count}"


def difference(comparison: Comparison, paper: float | None = None) -> Cell:
    """Returns a cell with a mean gain, its interval, and the paper's gain.

    It is emphasised where the interval excludes zero.

    Args:
      comparison: the rows that are compared.
      paper: the paper's gain, or None.
    """
    digits = comparison.metric.digits
    lines = []
    if comparison.interval is not None:
        low, high = (wording.signed(end, digits) for end in comparison.interval)
        lines.append(f"[{low}, {high}], n = {comparison.count}")
    elif comparison.count:
        lines.append("interval unknown, n = 1")
    if paper is not None:
        lines.append(f"paper {wording.signed(paper, digits)}")
    detail = "\n".join(lines)
    if comparison.mean is None:
        return Cell(wording.MISSING, detail, missing=True)
    return Cell(
        wording.signed(comparison.mean, digits),
        detail,
        best=comparison.clearly_better or comparison.clearly_worse,
        sources=comparison.sources,
    )
