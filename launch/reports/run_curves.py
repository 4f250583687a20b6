"""Draws a scalar of a task over its steps as SVG, in the colours of the page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 440, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 46, 34
_TICKS = 5
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line of the figure.

    Attributes:
      name: what the legend says.
      points: (step, value) in the order of the steps.
      chance: mean chance level of the points, drawn as a dotted line; None for none.
      is_measured_rarely: whether to mark each point.
    """

    name: str
    points: Points
    chance: float | None
    is_measured_rarely: bool


def draw(scalar: str, curves: Sequence[Curve]) -> bytes:
    """Draws curves over steps.

    Args:
      scalar: name of the vertical axis.
      curves: at most seven curves, at least one of which has a point.

    Returns:
      an SVG document. Its colours are variables of the page, with a fallback.
    """
    values = [value for curve in curves for _, value in curve.points]
    values += [curve.chance for curve in curves if curve.chance is not None]
    steps = [step for curve in curves for step, _ in curve.points]
    plot = _Plot(max(steps), min(values), max(values))
    parts = [*plot.frame(scalar)]
    x = float(_LEFT)
    for number, curve in enumerate(curves, start=1):
        color = f"var(--series-{number}, {_FALLBACKS[number - 1]})"
        parts += plot.curve(curve, color)
        label = curve.name + ("" if curve.chance is None else " (dotted: chance)")
        parts.append(
            f'<line x1="{x:.0f}" y1="12" x2="{x + 18:.0f}" y2="12" stroke="{color}" '
            f'stroke-width="2"/>{_text(x + 23, 16, label)}'
        )
        x += 35 + 6.1 * len(label)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"{''.join(parts)}</svg>"
    ).encode()


_FALLBACKS = (
    "#0067a5", "#b84300", "#00704f", "#a03c7c", "#7d5800", "#5650c8", "#4d5359",
)  # fmt: skip


class _Plot:
    """Maps steps and values to the positions of a figure."""

    def __init__(self, last_step: float, least: float, most: float) -> None:
        room = 0.06 * (most - least) or 0.1 * abs(most) or 0.1
        self._low, self._high = least - room, most + room
        self._last = max(last_step, 1.0)

    def _x(self, step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / self._last

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    def frame(self, scalar: str) -> list[str]:
        """Returns grid lines with their numbers, and the names of the axes."""
        parts = []
        for value in ticks(self._low, self._high):
            y = self._y(value)
            parts.append(
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" '
                'stroke="var(--rule, #d8d8d2)"/>'
            )
            parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", "end"))
        for step in ticks(0.0, self._last):
            label = f"{step:,.0f}" if step == int(step) else ""
            parts.append(_text(self._x(step), _HEIGHT - 18, label, "middle"))
        parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 3, "steps", "end"))
        parts.append(_text(_LEFT, _TOP - 8, scalar))
        return parts

    def curve(self, curve: Curve, color: str) -> list[str]:
        """Returns a line, the marks of its points, and its chance level."""
        places = [(self._x(step), self._y(value)) for step, value in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts = [
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        ]
        if curve.is_measured_rarely:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
                for x, y in places
            ]
        if curve.chance is not None:
            y = self._y(curve.chance)
            parts.append(
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" '
                f'stroke="{color}" stroke-width="1.5" stroke-dasharray="2 4"/>'
            )
        return parts


def ticks(low: float, high: float) -> list[float]:
    """Returns round numbers within a range that is not empty, three to six of them."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough)
    first, last = math.ceil(low / step), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'fill="var(--muted, #585c61)" {_FONT}>{escape(text)}</text>'
    )
