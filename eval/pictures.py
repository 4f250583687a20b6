"""PNG files of evaluations: figures and training curves."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from selfsup.common import files, history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "pictures"


def folder(output: str) -> str:
    """Returns the folder of pictures in an output folder, which it makes if necessary."""
    path = os.path.join(output, FOLDER)
    os.makedirs(path, exist_ok=True)
    return path


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (5.0, 3.4)
) -> tuple[Figure, npt.NDArray[np.object_]]:
    """Makes a matplotlib figure that needs no window system.

    Args:
      rows, columns: numbers of axes.
      size: width and height of each of the axes, in inches.

    Returns:
      (figure, array [rows, columns] of matplotlib axes).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_figure(path: str, figure: Figure) -> None:
    """Writes a figure made by `new_figure` as a PNG file, atomically."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    files.write_atomically(path, content.getvalue())


def save_curves(output: str, scalars: Sequence[str]) -> str:
    """Draws training scalars against the step, as pictures/curves.png.

    Args:
      output: output folder of the evaluation, which holds its history.
      scalars: keys of the rows of the history; each has a plot of its own.

    Returns:
      the path of the file.
    """
    rows = history.read(output)
    figure, axes = new_figure(columns=len(scalars))
    for axis, scalar in zip(axes[0], scalars):
        points = [(row["step"], row[scalar]) for row in rows if scalar in row]
        axis.plot([step for step, _ in points], [value for _, value in points])
        axis.set_xlabel("step")
        axis.set_ylabel(scalar.replace("_", " "))
    path = os.path.join(folder(output), "curves.png")
    save_figure(path, figure)
    return path
