"""Minimum, median, maximum and mean of very many numbers, in little memory."""

from __future__ import annotations

import collections
import math

_DIGITS = 3


class Distribution:
    """A histogram of numbers that are rounded to three digits, or to 0.001 below 10.

    Attributes:
      count: how many numbers were added.
      total: their sum.
      minimum, maximum: exact; None without numbers.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.minimum: float | None = None
        self.maximum: float | None = None
        self._bins: collections.Counter[float] = collections.Counter()

    def add(self, value: float, times: int = 1) -> None:
        """Adds `value`, `times` times."""
        self.count += times
        self.total += value * times
        self._extend(value, value)
        self._bins[_rounded(value)] += times

    def merge(self, other: Distribution) -> None:
        """Adds all numbers of another distribution."""
        if other.minimum is None or other.maximum is None:
            return
        self.count += other.count
        self.total += other.total
        self._extend(other.minimum, other.maximum)
        self._bins.update(other._bins)

    def _extend(self, minimum: float, maximum: float) -> None:
        self.minimum = minimum if self.minimum is None else min(self.minimum, minimum)
        self.maximum = maximum if self.maximum is None else max(self.maximum, maximum)

    @property
    def mean(self) -> float:
        """Mean of the numbers; nan without numbers."""
        return self.total / self.count if self.count else math.nan

    @property
    def median(self) -> float | None:
        """Rounded median (of an even count, the lower); None without numbers."""
        left = (self.count + 1) // 2
        for value in sorted(self._bins):
            left -= self._bins[value]
            if left <= 0:
                return value
        return None


def _rounded(value: float) -> float:
    if abs(value) < 10:
        return round(value, _DIGITS)
    return float(f"{value:.{_DIGITS}g}")
