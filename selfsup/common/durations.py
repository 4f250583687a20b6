"""Durations in words."""

from __future__ import annotations


def text(seconds: float) -> str:
    """Returns a duration with its two greatest units.

    >>> text(5400)
    '1 h 30 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
