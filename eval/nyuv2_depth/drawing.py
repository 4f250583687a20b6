"""Pictures of a predicted map beside the true map, and of depth in one colour range."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, TypeVar

import numpy as np
import numpy.typing as npt

from eval import pictures
from eval.nyuv2_depth.testing import DepthPrediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Perceptually uniform, with near depths bright.
COLORS = "viridis_r"
_UNKNOWN = "0.5"
_COLUMNS = ("image", "truth", "predicted")

Image = TypeVar("Image")


def draw(output: str, images: Sequence[DepthPrediction]) -> str:
    """Draws pictures/depth.png, with one row per image: photo, true and predicted depth.

    True and predicted depth share the range of the truth, in metres. Unknown depth is
    grey.

    Args:
      output: output folder of the evaluation.
      images: at least one image.

    Returns:
      the path of the file.
    """
    return draw_rows(output, "depth.png", images, images[0].truth.shape, _draw_row)


def draw_rows(
    output: str,
    name: str,
    images: Sequence[Image],
    size: Sequence[int],
    draw_row: Callable[[Figure, npt.NDArray[np.object_], Image], None],
) -> str:
    """Draws one row per image: photo, true and predicted map.

    Args:
      output: output folder of the evaluation.
      name: name of the file.
      images: at least one image.
      size: height and width of an image, which give the shape of the axes.
      draw_row: draws an image on the three axes of its row in a figure.

    Returns:
      the path of the file.
    """
    axes_size = (3.2, 0.2 + 2.8 * size[0] / size[1])
    figure, axes = pictures.new_figure(len(images), len(_COLUMNS), axes_size)
    for row, image in zip(axes, images):
        draw_row(figure, row, image)
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, title in zip(axes[0], _COLUMNS):
        axis.set_title(title, fontsize=10)
    path = os.path.join(pictures.folder(output), name)
    pictures.save_figure(path, figure)
    return path


def _draw_row(
    figure: Figure, axes: npt.NDArray[np.object_], image: DepthPrediction
) -> None:
    from matplotlib.colors import Normalize

    known = image.truth > 0
    # Without any known depth, the range is that of the prediction.
    depths = image.truth[known] if known.any() else image.predicted
    scale = Normalize(float(depths.min()), float(depths.max()), clip=True)
    axes[0].imshow(image.image)
    axes[1].set_facecolor(_UNKNOWN)
    # Matplotlib leaves pixels of NaN transparent.
    truth = np.where(known, image.truth, np.nan)
    for axis, depth in ((axes[1], truth), (axes[2], image.predicted)):
        drawn = axis.imshow(depth, cmap=COLORS, norm=scale, interpolation="nearest")
    axes[0].set_ylabel(image.key[-24:], fontsize=7)
    bar = figure.colorbar(drawn, ax=axes[2], fraction=0.05)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("metres", fontsize=7)
