"""PNG files of evaluations: pictures, figures and loss curves."""

import io
import os

from selfsup.common import files, history

FOLDER = "pictures"


def folder(output):
    """The folder of pictures in an evaluation's output; makes it."""
    path = os.path.join(output, FOLDER)
    os.makedirs(path, exist_ok=True)
    return path


def new_figure(rows=1, columns=1, size=(5.0, 3.4)):
    """A matplotlib figure that no window system knows of, and its axes.

    Args:
      rows, columns: of axes.
      size: of each, inches.

    Returns:
      (figure, array [rows, columns] of axes).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_figure(path, figure):
    """Writes a figure of `new_figure` as a PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    files.write_atomically(path, content.getvalue())


def save_curves(output, scalars):
    """Draws scalars of an evaluation's history over its steps: pictures/curves.png.

    Args:
      output: the evaluation's folder.
      scalars: keys of the history's rows, one plot each.

    Returns:
      the file's path.
    """
    rows = history.read(output)
    figure, axes = new_figure(columns=len(scalars))
    for axis, scalar in zip(axes[0], scalars):
        found = [row for row in rows if scalar in row]
        axis.plot([row["step"] for row in found], [row[scalar] for row in found])
        axis.set_xlabel("step")
        axis.set_ylabel(scalar.replace("_", " "))
    path = os.path.join(folder(output), "curves.png")
    save_figure(path, figure)
    return path
