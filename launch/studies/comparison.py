"""A short table of a study's results, for the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from launch.studies.results import Measurement
from launch.studies.study import Study


def table(study: Study, measurements: Sequence[Measurement]) -> str:
    """Returns the headline metric of each evaluation by row and snapshot.

    A value is the mean over the seeds; with several seeds, the sample standard deviation
    and the number of seeds follow. A cell without a result is a hyphen.

    Args:
      study: the study.
      measurements: its finished evaluations.
    """
    evaluations = [plan.name for plan in study.evaluations]
    lines = [["row", "snapshot", *evaluations]]
    for row in study.rows:
        own = [each for each in measurements if each.row == row.name]
        for snapshot in sorted({each.snapshot for each in own}):
            values = [
                [
                    each.metrics[each.headline]
                    for each in own
                    if each.snapshot == snapshot and each.evaluation == name
                ]
                for name in evaluations
            ]
            lines.append([row.name, str(snapshot), *map(_text, values)])
    return _aligned(lines)


def _text(values: Sequence[float]) -> str:
    if not values:
        return "-"
    text = f"{statistics.fmean(values):.4f}"
    if len(values) == 1:
        return text
    return f"{text} ({statistics.stdev(values):.4f}, {len(values)} seeds)"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines
    )
