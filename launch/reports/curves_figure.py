"""Draws a panel of figures 3 and 4: an evaluation's number over the cost of pretraining."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from launch.reports import svg
from launch.reports.svg import Point

_WIDTH, _HEIGHT = 470.0, 310.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 352.0, 34.0, 264.0
_LABEL_GAP = 14.0


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
    costs = sorted({cost for curve in curves for cost, _ in curve.points})
    numbers = [
        value for curve in curves for _, values in curve.points for value in values
    ]
    numbers += [level for _, level in levels]
    # Axes begin at no cost, as in the paper, and end a little above the last snapshot.
    horizontal, cost_ticks = _axis(0.0, max(costs), _LEFT, _RIGHT)
    low, high = _padded(min(numbers), max(numbers))
    vertical, ticks = _axis(low, high, _BOTTOM, _TOP)
    parts = [svg.text(Point(_LEFT, 16), title, bold=True, size=13)]
    for tick in ticks:
        y = vertical(tick)
        parts.append(svg.line([Point(_LEFT, y), Point(_RIGHT, y)], "var(--rule)"))
        parts.append(
            svg.text(
                Point(_LEFT - 7, y + 4), f"{tick:g}", anchor="end", fill="var(--muted)"
            )
        )
    for tick in cost_ticks:
        x = horizontal(tick)
        parts.append(
            svg.line([Point(x, _BOTTOM), Point(x, _BOTTOM + 4)], "var(--muted)")
        )
        parts.append(
            svg.text(
                Point(x, _BOTTOM + 18),
                f"{tick:,g}",
                anchor="middle",
                fill="var(--muted)",
            )
        )
    parts.append(
        svg.line([Point(_LEFT, _BOTTOM), Point(_RIGHT, _BOTTOM)], "var(--muted)")
    )
    parts.append(
        svg.text(
            Point((_LEFT + _RIGHT) / 2, _BOTTOM + 37),
            cost_label,
            anchor="middle",
            fill="var(--muted)",
        )
    )
    for _, level in levels:
        y = vertical(level)
        parts.append(
            svg.line([Point(_LEFT, y), Point(_RIGHT, y)], "var(--muted)", 1.4, "5 4")
        )
    for index, curve in enumerate(curves):
        parts.extend(_curve(index, curve, horizontal, vertical))
    parts.extend(_labels(curves, levels, horizontal, vertical))
    return svg.picture(_WIDTH, _HEIGHT, parts)


_Scale = Callable[[float], float]


def _axis(
    low: float, high: float, start: float, end: float
) -> tuple[_Scale, list[float]]:
    """A linear scale to positions from `start` to `end`, and round ticks within it."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    shown = [float(tick) for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
    return lambda value: start + (value - low) / (high - low) * (end - start), shown


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _curve(index: int, curve: Curve, horizontal: _Scale, vertical: _Scale) -> list[str]:
    parts = []
    xs = [horizontal(cost) for cost, _ in curve.points]
    middle = [Point(x, vertical(mean)) for x, mean in zip(xs, curve.means)]
    if len(xs) > 1:
        upper = [
            Point(x, vertical(max(values))) for x, (_, values) in zip(xs, curve.points)
        ]
        lower = [
            Point(x, vertical(min(values))) for x, (_, values) in zip(xs, curve.points)
        ]
        parts.append(svg.area([*upper, *reversed(lower)], svg.colour(index), 0.13))
        parts.append(svg.line(middle, svg.colour(index), 2.0))
    for x, (_, values) in zip(xs, curve.points):
        if len(values) > 1:
            ends = [Point(x, vertical(end)) for end in (min(values), max(values))]
            parts.append(svg.line(ends, svg.colour(index), 1.2))
    for point, mean, (cost, values) in zip(middle, curve.means, curve.points):
        seeds = ", ".join(f"{value:.4g}" for value in values)
        title = f"{curve.label} at {cost:,g}: mean {mean:.4g} of {seeds}"
        parts.append(svg.marker(index, point, title))
    return parts


def _labels(
    curves: Sequence[Curve],
    levels: Sequence[tuple[str, float]],
    horizontal: _Scale,
    vertical: _Scale,
) -> list[str]:
    """Names beside the ends of the lines, moved apart, with a thin line to each end."""
    ends: list[tuple[str, float, float, int | None]] = [
        (curve.label, horizontal(curve.points[-1][0]), vertical(curve.means[-1]), index)
        for index, curve in enumerate(curves)
    ]
    ends += [(label, _RIGHT, vertical(level), None) for label, level in levels]
    placed = svg.apart([y for _, _, y, _ in ends], _LABEL_GAP, _TOP, _BOTTOM + 6)
    parts = []
    for (label, x, y, index), at in zip(ends, placed):
        colour = "var(--muted)" if index is None else svg.colour(index)
        parts.append(svg.line([Point(x + 6, y), Point(_RIGHT + 12, at)], colour, 0.8))
        if index is not None:
            parts.append(svg.marker(index, Point(_RIGHT + 18, at), label, 0.8))
        x_text = _RIGHT + (26 if index is not None else 15)
        parts.append(svg.text(Point(x_text, at + 4), label, fill=colour, size=11))
    return parts
