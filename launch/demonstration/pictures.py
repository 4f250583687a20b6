"""Draws the pictures of the demo: learning curves, and an overview of all tasks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from selfsup.common import files
from selfsup.common.png_file import save_png
from selfsup.tasks.task import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Any: a row of a history has texts and numbers.
_Row = dict[str, Any]


def save_overview(
    path: str, curves: str, details: Sequence[str], height: int = 420
) -> None:
    """Draws the curves above a row of other pictures, which are cut to one height.

    Args:
      path: PNG file to write.
      curves: PNG file of the curves.
      details: PNG files of the other pictures.
      height: height of the row in pixels.
    """
    from PIL import Image

    top = Image.open(curves).convert("RGB")
    width = top.width // len(details)
    sheet = Image.new("RGB", (top.width, top.height + height), "white")
    sheet.paste(top, (0, 0))
    for column, detail in enumerate(details):
        picture = Image.open(detail).convert("RGB")
        scale = min(1.0, (width - 16) / picture.width)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS).crop(
            (0, 0, width - 16, height)
        )
        cut = picture.crop((0, 0, min(size[0], width - 16), min(size[1], height)))
        sheet.paste(cut, (column * width + (width - cut.width) // 2, top.height))
    save_png(path, np.asarray(sheet))


def save_curves(path: str, rows: Sequence[_Row], metrics: Mapping[str, Metric]) -> None:
    """Draws the metric and the loss of each task over its steps, and the chance level.

    Args:
      path: PNG file to write.
      rows: see `history.read`.
      metrics: metric to draw by task name.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, len(metrics), figsize=(3.6 * len(metrics), 5.2), squeeze=False
    )
    for column, (name, metric) in enumerate(metrics.items()):
        for row, scalar in enumerate((metric.name, "loss")):
            _curve(axes[row][column], rows, name, scalar)
        axes[0][column].set_title(name.replace("_", " "))
        axes[1][column].set_xlabel("step")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    pyplot.close(figure)
    files.write_atomically(path, content.getvalue())


def _curve(axis: Axes, rows: Sequence[_Row], task: str, scalar: str) -> None:
    for split, style in (("train", "-"), ("validation", "o--")):
        matching = [
            row
            for row in rows
            if (row["task"], row["split"]) == (task, split) and scalar in row
        ]
        steps, values = (
            [row["step"] for row in matching],
            [row[scalar] for row in matching],
        )
        axis.plot(steps, values, style, markersize=3, label=split)
        key = f"chance/{scalar}"
        if matching and key in matching[0]:
            chance = np.mean([row[key] for row in matching])
            color = axis.lines[-1].get_color()
            label = f"chance, {split}"
            axis.axhline(chance, color=color, linestyle=":", label=label)
    axis.set_ylabel(scalar)
