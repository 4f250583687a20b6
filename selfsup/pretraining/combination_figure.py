"""Draws the combination matrix alpha like figure 5 of the paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from selfsup.common.errors import UserError

# The exponent that puts 0.1 in the middle of the grey scale from 0 to 1.
GREY_GAMMA = np.log(0.5) / np.log(0.1)


def draw(
    alpha: npt.ArrayLike,
    self_supervised_names: Sequence[str],
    evaluation_names: Sequence[str] = (),
) -> npt.NDArray[np.uint8]:
    """Draws |alpha| in grey, larger entries lighter, the shallowest unit on the left.

    Args:
      alpha: [N, M], rows of L2 norm 1: first the self-supervised tasks, then the
        evaluation tasks.
      self_supervised_names: names of the first rows.
      evaluation_names: names of the other rows, which are drawn below.

    Returns:
      the picture, uint8 [H, W, 3].

    Raises:
      UserError: if the number of names is not N, or if there are no names.
    """
    alpha = np.abs(np.asarray(alpha, np.float32))
    split = len(self_supervised_names)
    blocks = [
        (list(names), rows)
        for names, rows in (
            (self_supervised_names, alpha[:split]),
            (evaluation_names, alpha[split:]),
        )
        if names
    ]
    if sum(len(names) for names, _ in blocks) != len(alpha) or not blocks:
        raise UserError(
            f"alpha has {len(alpha)} rows, but {split} self-supervised and "
            f"{len(evaluation_names)} evaluation names were given"
        )
    return _render(blocks, alpha.shape[1])


def _render(
    blocks: list[tuple[list[str], npt.NDArray[np.float32]]], num_units: int
) -> npt.NDArray[np.uint8]:
    heights = [len(names) for names, _ in blocks]
    figure = Figure(
        figsize=(2.2 + 0.26 * num_units, 1.4 + 0.26 * sum(heights) + 0.5 * len(blocks)),
        dpi=120,
        layout="constrained",
    )
    axes = figure.subplots(len(blocks), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (names, rows) in zip(axes, blocks):
        image = axis.imshow(
            rows, cmap="gray", norm=PowerNorm(GREY_GAMMA, 0, 1), aspect="equal"
        )
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.set_xticks(range(0, num_units, 5))
        axis.tick_params(length=0)
    axes[-1].set_xlabel("unit of the trunk, shallowest on the left")
    bar = figure.colorbar(
        image, ax=list(axes), orientation="horizontal", ticks=[0, 0.1, 1], aspect=40
    )
    bar.ax.set_xticklabels(["0", "0.1", "1"])
    bar.ax.minorticks_off()
    bar.set_label("|alpha|")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # Untyped in Matplotlib.
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]  # As above.
    return np.asarray(pixels)[..., :3].copy()
