"""Predicted depth beside the truth, in one scale of colours."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

# Perceptually uniform; what is near is bright.
COLORS = "viridis_r"
_UNKNOWN = "0.5"
_COLUMNS = ("image", "truth", "predicted")


def draw(shown):
    """A row for each image: the photo, its true depth and the predicted one.

    The two share the truth's range of colours, in metres; unknown depth is grey.

    Args:
      shown: list of `testing.Shown`, at least one.

    Returns:
      bytes of a PNG.
    """
    height, width = shown[0].truth.shape
    figure = Figure(
        figsize=(9.6, 0.4 + 2.8 * len(shown) * height / width),
        dpi=100,
        layout="constrained",
    )
    axes = figure.subplots(len(shown), len(_COLUMNS), squeeze=False)
    for row, one in zip(axes, shown):
        _draw_row(figure, row, one)
    for axis, title in zip(axes[0], _COLUMNS):
        axis.set_title(title, fontsize=10)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def _draw_row(figure, axes, one):
    known = one.truth > 0
    # A frame without any depth has no scale of its own.
    range_of = one.truth[known] if known.any() else one.predicted
    scale = Normalize(float(range_of.min()), float(range_of.max()), clip=True)
    axes[0].imshow(one.image)
    axes[1].set_facecolor(_UNKNOWN)
    for axis, depth in (
        (axes[1], np.ma.masked_where(~known, one.truth)),
        (axes[2], one.predicted),
    ):
        drawn = axis.imshow(depth, cmap=COLORS, norm=scale, interpolation="nearest")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_ylabel(one.key[-24:], fontsize=7)
    bar = figure.colorbar(drawn, ax=axes[2], fraction=0.05)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("metres", fontsize=7)
