"""Least, median and greatest of very many numbers in little memory."""

import collections
import math

_DIGITS = 3


class Distribution:
    """Counts of numbers, each rounded to three digits or to 0.001; they can be added up.

    Attributes:
      count: how many numbers.
      total: their sum.
      least, greatest: exact; None where there are no numbers.
    """

    def __init__(self):
        self.count = 0
        self.total = 0.0
        self.least = self.greatest = None
        self._bins = collections.Counter()

    def add(self, value, times=1):
        """Adds `value`, `times` times."""
        self.count += times
        self.total += value * times
        self._extend(value, value)
        self._bins[_rounded(value)] += times

    def merge(self, other):
        """Adds all that another one has."""
        if not other.count:
            return
        self.count += other.count
        self.total += other.total
        self._extend(other.least, other.greatest)
        self._bins.update(other._bins)

    def _extend(self, least, greatest):
        known = self.least is not None
        self.least = min(self.least, least) if known else least
        self.greatest = max(self.greatest, greatest) if known else greatest

    @property
    def mean(self):
        """Of the numbers; nan where there are none."""
        return self.total / self.count if self.count else math.nan

    @property
    def median(self):
        """The lower one of an even number of them, rounded; None where there are none."""
        left = (self.count + 1) // 2
        for value in sorted(self._bins):
            left -= self._bins[value]
            if left <= 0:
                return value
        return None


def _rounded(value):
    """`value` as it is binned: to 0.001 below 10, to three digits above."""
    magnitude = abs(value)
    if magnitude < 10:
        return round(value, _DIGITS)
    return float(f"{value:.{_DIGITS}g}")
