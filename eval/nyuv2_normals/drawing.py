"""Pictures of predicted surface normals beside the true normals, as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval.nyuv2_depth.drawing import draw_rows
from eval.nyuv2_normals.testing import NormalsPrediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(output: str, images: Sequence[NormalsPrediction]) -> str:
    """Draws pictures/normals.png, with one row per image: photo, true, predicted normals.

    Args:
      output: output folder of the evaluation.
      images: at least one image.

    Returns:
      the path of the file.
    """
    return draw_rows(output, "normals.png", images, images[0].truth.shape, _draw_row)


def colors(normals: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Colours of normals [H, W, 3]: (n + 1) / 2 as RGB, so that unknown normals are grey.

    Walls that face the camera are blue, floors are green, walls that face right are red.
    """
    return (normals + 1) / 2


def _draw_row(
    figure: Figure, axes: npt.NDArray[np.object_], image: NormalsPrediction
) -> None:
    del figure
    axes[0].imshow(image.image)
    axes[1].imshow(colors(image.truth), interpolation="nearest")
    axes[2].imshow(colors(image.predicted), interpolation="nearest")
    axes[0].set_ylabel(image.key[-24:], fontsize=7)
