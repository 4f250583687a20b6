"""Whose turn it is when several groups share one device."""

import fractions


def next_group(steps, weights, limits):
    """The group that takes the next step, or None when all have reached their limits.

    The group that is furthest behind its share goes next, so at any time every group has
    taken its proportion of the steps to within one. It follows from the counters alone:
    a resumed run takes the same turns.

    Args:
      steps: dict of steps done by group name.
      weights: dict of positive turn weights by group name.
      limits: dict of steps at which a group is finished.
    """
    waiting = [name for name in weights if steps[name] < limits[name]]
    return min(waiting, key=lambda name: _due(steps[name], weights[name]), default=None)


def _due(steps, weight):
    # The middle of the step's interval: interleaves 3:1 as AABA rather than AAAB.
    return (2 * steps + 1) / fractions.Fraction(weight)
