"""Parts of pictures as SVG, in the colours of the page's style sheet.

Colours are CSS variables (`style/colours.css`), so a figure follows light and dark mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

# Series have a colour and a marker each, so that no reader depends on colours.
_MARKERS = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
    "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "M0 -4.8L4.6 3.6H-4.6Z",
    "M0 -5L5 0L0 5L-5 0Z",
    "M0 4.8L4.6 -3.6H-4.6Z",
    "M-4.6 -2L-2 -4.6L0 -2.6L2 -4.6L4.6 -2L2.6 0L4.6 2L2 4.6L0 2.6L-2 4.6L-4.6 2L-2.6 0Z",
    "M-1.8 -5H1.8V-1.8H5V1.8H1.8V5H-1.8V1.8H-5V-1.8H-1.8Z",
)
SERIES = len(_MARKERS)
FONT = "system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"


class Point(NamedTuple):
    """A position in a picture, in its units; y grows downwards."""

    x: float
    y: float


def picture(width: float, height: float, parts: Sequence[str]) -> bytes:
    """Returns an SVG document.

    Args:
      width: of the view box; the picture is shown at most 1.35 times as large, in pixels.
      height: of the view box.
      parts: SVG elements.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'style="max-width:{1.35 * width:.0f}px;font:12px {FONT};fill:var(--ink)">'
        + "\n".join(parts)
        + "</svg>\n"
    ).encode()


def colour(index: int) -> str:
    """Returns the colour of a series, counted from 0; colours repeat after `SERIES`."""
    return f"var(--series-{index % SERIES + 1})"


def text(
    at: Point,
    content: str,
    *,
    anchor: str = "start",
    fill: str = "var(--ink)",
    size: float = 12,
    bold: bool = False,
) -> str:
    """Returns a line of text whose baseline is at a point.

    Args:
      at: where the text starts, ends or has its middle.
      content: plain text.
      anchor: "start", "middle" or "end".
      fill: colour.
      size: of the font.
      bold: whether the text is bold.
    """
    weight = ";font-weight:600" if bold else ""
    return (
        f'<text x="{at.x:.1f}" y="{at.y:.1f}" text-anchor="{anchor}" '
        f'style="font-size:{size:g}px;fill:{fill}{weight}">{escape(content)}</text>'
    )


def line(
    points: Sequence[Point], stroke: str, width: float = 1.0, dashes: str = ""
) -> str:
    """Returns a line through points.

    Args:
      points: at least two.
      stroke: colour.
      width: of the line.
      dashes: SVG's dash array, "" for a solid line.
    """
    path = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in points)
    dash = f";stroke-dasharray:{dashes}" if dashes else ""
    return (
        f'<polyline points="{path}" style="fill:none;stroke:{stroke};'
        f'stroke-width:{width:g};stroke-linejoin:round{dash}"/>'
    )


def area(points: Sequence[Point], fill: str, opacity: float) -> str:
    """Returns a filled area inside of a closed line through points."""
    path = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in points)
    return f'<polygon points="{path}" style="fill:{fill};fill-opacity:{opacity:g}"/>'


def marker(index: int, at: Point, title: str, scale: float = 1.0) -> str:
    """Returns the marker of a series, with a text that the pointer shows.

    Args:
      index: number of the series, from 0.
      at: its centre.
      title: plain text.
      scale: 1 for a radius of about 4.
    """
    return (
        f'<path transform="translate({at.x:.1f} {at.y:.1f}) scale({scale:g})" '
        f'd="{_MARKERS[index % SERIES]}" style="fill:{colour(index)};'
        f'stroke:var(--paper);stroke-width:1"><title>{escape(title)}</title></path>'
    )


def apart(
    positions: Sequence[float], gap: float, low: float, high: float
) -> list[float]:
    """Moves positions of labels apart, each as little as a simple rule allows.

    Args:
      positions: where the labels should be.
      gap: least distance of two labels.
      low: the least position.
      high: the greatest position, kept if the labels have room.

    Returns:
      new positions, in the order of `positions`.

    >>> apart([5.0, 6.0, 50.0], 10, 0, 100)
    [5.0, 15.0, 50.0]
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = list(positions)
    below = low
    for index in order:
        placed[index] = max(placed[index], below)
        below = placed[index] + gap
    above = high
    for index in reversed(order):
        placed[index] = min(placed[index], above)
        above = placed[index] - gap
    below = low
    for index in order:
        placed[index] = max(placed[index], below)
        below = placed[index] + gap
    return placed
