"""Figure 5: |alpha| by task and unit, as SVG, with the grey scale of the paper's figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from launch.reports import svg
from launch.reports.svg import Point

_CELL = 16.0
_LABELS = 132.0
# Between self-supervised and evaluation rows.
_GAP = 14.0
_MARKED = (0.0, 0.1, 1.0)


def grey(weight: float) -> str:
    """Returns the colour of |alpha|: black for 0, the middle for 0.1, white for 1.

    >>> grey(0.1)
    '#808080'
    """
    from selfsup.pretraining.combination_figure import GREY_GAMMA

    level = round(255 * min(1.0, abs(weight)) ** float(GREY_GAMMA))
    return f"#{level:02x}{level:02x}{level:02x}"


def draw(
    self_supervised: Mapping[str, Sequence[float]],
    evaluations: Mapping[str, Sequence[float]],
) -> bytes:
    """Draws |alpha|, the shallowest unit on the left, evaluation rows below the others.

    Args:
      self_supervised: alpha of each task by its label, at least one; all rows of both
        mappings have the same number of units.
      evaluations: alpha of each evaluation by its label.

    Returns:
      an SVG document.
    """
    units = len(next(iter(self_supervised.values())))
    parts: list[str] = []
    top = 4.0
    for group in (self_supervised, evaluations):
        for label, weights in group.items():
            parts.append(
                svg.text(
                    Point(_LABELS - 8, top + _CELL - 4), label, anchor="end", size=11.5
                )
            )
            parts.extend(
                _square(
                    Point(_LABELS + _CELL * unit, top),
                    weight,
                    f"{label}, unit {unit + 1}",
                )
                for unit, weight in enumerate(weights)
            )
            top += _CELL
        if group:
            top += _GAP
    for unit in (number for number in range(units) if number % 5 == 0 or units <= 10):
        x = _LABELS + _CELL * (unit + 0.5)
        parts.append(
            svg.text(
                Point(x, top),
                str(unit + 1),
                anchor="middle",
                fill="var(--muted)",
                size=11,
            )
        )
    top += 18
    parts.append(
        svg.text(
            Point(_LABELS, top), "unit, shallowest left", fill="var(--muted)", size=11
        )
    )
    top += 14
    parts.extend(_scale(top))
    return svg.picture(
        _LABELS + max(_CELL * units, 190.0) + 12, top + _CELL + 20, parts
    )


def _square(at: Point, weight: float, title: str) -> str:
    return (
        f'<rect x="{at.x:.1f}" y="{at.y:.1f}" width="{_CELL:g}" height="{_CELL:g}" '
        f'style="fill:{grey(weight)};stroke:#555;stroke-width:.6">'
        f"<title>{escape(title)}: {abs(weight):.3f}</title></rect>"
    )


def _scale(top: float) -> list[str]:
    """The grey scale from 0 to 1; 0.1 stands in its middle."""
    from selfsup.pretraining.combination_figure import GREY_GAMMA

    steps = 36
    width = 180.0 / steps
    parts = [
        svg.text(
            Point(_LABELS - 8, top + _CELL - 4), "|alpha|", anchor="end", size=11.5
        )
    ]
    for step in range(steps):
        weight = ((step + 0.5) / steps) ** (1 / float(GREY_GAMMA))
        parts.append(
            f'<rect x="{_LABELS + width * step:.1f}" y="{top:.1f}" '
            f'width="{width + 0.3:.1f}" height="{_CELL:g}" style="fill:{grey(weight)}"/>'
        )
    frame = [
        Point(_LABELS, top),
        Point(_LABELS + 180, top),
        Point(_LABELS + 180, top + _CELL),
        Point(_LABELS, top + _CELL),
        Point(_LABELS, top),
    ]
    parts.append(svg.line(frame, "#555", 0.6))
    for mark in _MARKED:
        x = _LABELS + 180 * mark ** float(GREY_GAMMA)
        parts.append(
            svg.text(
                Point(x, top + _CELL + 14),
                f"{mark:g}",
                anchor="middle",
                fill="var(--muted)",
                size=11,
            )
        )
    return parts
