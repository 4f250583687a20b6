"""Decides which group steps next when several groups share one device."""

from __future__ import annotations

import fractions
from collections.abc import Mapping


def next_group(
    steps: Mapping[str, int], weights: Mapping[str, float], limits: Mapping[str, int]
) -> str | None:
    """Returns the group that takes the next step; None if all are at their limits.

    The group that is furthest below its share goes next. So at any time the number of
    steps of each group differs from its share by at most one. The order follows from the
    step counts only, so a resumed run takes the same turns.

    Args:
      steps: number of steps taken, by group name.
      weights: positive weights in proportion to which groups step, by group name.
      limits: number of steps at which a group is finished, by group name.
    """
    waiting = [name for name in weights if steps[name] < limits[name]]
    return min(waiting, key=lambda name: _due(steps[name], weights[name]), default=None)


def _due(steps: int, weight: float) -> fractions.Fraction:
    # The middle of the step's interval: interleaves 3:1 as AABA rather than AAAB.
    return (2 * steps + 1) / fractions.Fraction(weight)
