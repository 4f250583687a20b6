"""Draws a panel of figures 3 and 4: an evaluation's number over the cost of pretraining."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from launch.reports import svg
from launch.reports.svg import Point

_WIDTH, _HEIGHT = 440.0, 310.0
_LEFT, _TOP, _BOTTOM = 46.0, 34.0, 264.0
_LABEL_GAP = 14.0
# Of a letter of a label, on average; and the most letters that are shown.
_LETTER, _LETTERS = 7.1, 22


@dataclasses.dataclass(frozen=True)
class Curve:
    """A row in a panel.

    Attributes:
      label: name of the row.
      points: for each snapshot its cost and the numbers of all seeds, by cost.
    """

    label: str
    points: tuple[tuple[float, tuple[float, ...]], ...]

    @property
    def means(self) -> list[float]:
        """Mean over seeds at each point."""
        return [float(np.mean(values)) for _, values in self.points]


def draw(
    title: str,
    curves: Sequence[Curve],
    levels: Sequence[tuple[str, float]],
    cost_label: str,
) -> bytes:
    """Draws curves with a band from the lowest to the highest seed.

    Args:
      title: what is on the vertical axis.
      curves: at most `svg.SERIES` rows, at least one, each with at least one point.
      levels: labelled horizontal lines, such as the random trunk's mean.
      cost_label: what is on the horizontal axis.

    Returns:
      an SVG document.
    """
    frame = _frame(curves, levels)
    parts = [
        svg.text(Point(_LEFT, 16), title, bold=True, size=13),
        *_axes(frame, cost_label),
    ]
    for _, level in levels:
        y = frame.vertical(level)
        ends = [Point(_LEFT, y), Point(frame.right, y)]
        parts.append(svg.line(ends, "var(--muted)", 1.4, "5 4"))
    for index, curve in enumerate(curves):
        parts.extend(_curve(index, curve, frame))
    parts.extend(_labels(curves, levels, frame))
    return svg.picture(_WIDTH, _HEIGHT, parts)


@dataclasses.dataclass(frozen=True)
class _Frame:
    """The scales of a panel.

    Attributes:
      right: right end of the horizontal axis; labels are beyond it.
      horizontal: position of a cost.
      vertical: position of a number.
      costs: ticks of the horizontal axis.
      numbers: ticks of the vertical axis.
    """

    right: float
    horizontal: Callable[[float], float]
    vertical: Callable[[float], float]
    costs: list[float]
    numbers: list[float]


def _frame(curves: Sequence[Curve], levels: Sequence[tuple[str, float]]) -> _Frame:
    labels = [
        _short(label) for label in [*(each.label for each in curves), *dict(levels)]
    ]
    right = _WIDTH - 30 - _LETTER * max(map(len, labels))
    shown = [value for each in curves for _, values in each.points for value in values]
    shown += [level for _, level in levels]
    low, high = _padded(min(shown), max(shown))
    # The horizontal axis begins at no cost, as in the paper.
    end = max(cost for curve in curves for cost, _ in curve.points) or 1.0
    return _Frame(
        right,
        lambda cost: _LEFT + cost / end * (right - _LEFT),
        lambda value: _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP),
        _ticks(0.0, end),
        _ticks(low, high),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


def _axes(frame: _Frame, cost_label: str) -> list[str]:
    parts = []
    for tick in frame.numbers:
        y = frame.vertical(tick)
        parts.append(svg.line([Point(_LEFT, y), Point(frame.right, y)], "var(--rule)"))
        at = Point(_LEFT - 7, y + 4)
        parts.append(svg.text(at, f"{tick:g}", anchor="end", fill="var(--muted)"))
    for tick in frame.costs:
        x = frame.horizontal(tick)
        ends = [Point(x, _BOTTOM), Point(x, _BOTTOM + 4)]
        parts.append(svg.line(ends, "var(--muted)"))
        at = Point(x, _BOTTOM + 18)
        parts.append(svg.text(at, f"{tick:,g}", anchor="middle", fill="var(--muted)"))
    ends = [Point(_LEFT, _BOTTOM), Point(frame.right, _BOTTOM)]
    parts.append(svg.line(ends, "var(--muted)"))
    at = Point((_LEFT + frame.right) / 2, _BOTTOM + 37)
    parts.append(svg.text(at, cost_label, anchor="middle", fill="var(--muted)"))
    return parts


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _curve(index: int, curve: Curve, frame: _Frame) -> list[str]:
    colour = svg.colour(index)
    xs = [frame.horizontal(cost) for cost, _ in curve.points]
    middle = [Point(x, frame.vertical(mean)) for x, mean in zip(xs, curve.means)]
    low, high = (
        [
            Point(x, frame.vertical(end(values)))
            for x, (_, values) in zip(xs, curve.points)
        ]
        for end in (min, max)
    )
    parts = []
    if len(xs) > 1:
        parts.append(svg.area([*high, *reversed(low)], colour, 0.13))
        parts.append(svg.line(middle, colour, 2.0))
    parts.extend(svg.line([top, bottom], colour, 1.2) for top, bottom in zip(high, low))
    for point, mean, (cost, values) in zip(middle, curve.means, curve.points):
        seeds = ", ".join(f"{value:.4g}" for value in values)
        title = f"{curve.label} at {cost:,g}: mean {mean:.4g} of {seeds}"
        parts.append(svg.marker(index, point, title))
    return parts


def _labels(
    curves: Sequence[Curve], levels: Sequence[tuple[str, float]], frame: _Frame
) -> list[str]:
    """Names beside the ends of the lines, moved apart, with a dotted line to each end."""
    ends: list[tuple[str, float, float, int | None]] = [
        (
            curve.label,
            frame.horizontal(curve.points[-1][0]),
            frame.vertical(curve.means[-1]),
            index,
        )
        for index, curve in enumerate(curves)
    ]
    ends += [
        (label, frame.right, frame.vertical(level), None) for label, level in levels
    ]
    placed = svg.apart([y for _, _, y, _ in ends], _LABEL_GAP, _TOP, _BOTTOM + 6)
    parts = []
    for (label, x, y, index), at in zip(ends, placed):
        colour = "var(--muted)" if index is None else svg.colour(index)
        start, end = Point(x + 6, y), Point(frame.right + 12, at)
        # Dotted, so that it is not taken for a part of a curve that ends early.
        parts.append(svg.line([start, end], "var(--muted)", 0.8, "1 3"))
        left = frame.right + 15
        if index is not None:
            parts.append(svg.marker(index, Point(frame.right + 18, at), label, 0.8))
            left += 11
        parts.append(svg.text(Point(left, at + 4), _short(label), fill=colour, size=11))
    return parts
