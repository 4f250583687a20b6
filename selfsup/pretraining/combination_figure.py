"""Draws the combination matrix as the paper's figure 5."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from selfsup.common.errors import UserError

# The exponent that puts 0.1 in the middle of the grey scale from 0 to 1.
GREY_GAMMA = np.log(0.5) / np.log(0.1)


def draw(alpha, self_supervised_names, evaluation_names=()):
    """Draws |alpha|, whiter for more, the shallowest unit at the left.

    Args:
      alpha: [N, M], rows of unit L2 norm: self-supervised tasks, then evaluations.
      self_supervised_names: names of the first rows.
      evaluation_names: names of the other rows, drawn below.

    Returns:
      uint8 [H, W, 3].
    """
    alpha = np.abs(np.asarray(alpha, np.float32))
    split = len(self_supervised_names)
    groups = [
        (names, rows)
        for names, rows in (
            (list(self_supervised_names), alpha[:split]),
            (list(evaluation_names), alpha[split:]),
        )
        if names
    ]
    if sum(len(names) for names, _ in groups) != len(alpha) or not groups:
        raise UserError(
            f"alpha has {len(alpha)} rows, but {split} self-supervised and "
            f"{len(evaluation_names)} evaluation names were given"
        )
    return _render(groups, alpha.shape[1])


def _render(groups, num_units):
    heights = [len(names) for names, _ in groups]
    figure = Figure(
        figsize=(2.2 + 0.26 * num_units, 1.4 + 0.26 * sum(heights) + 0.5 * len(groups)),
        dpi=120,
        layout="constrained",
    )
    axes = figure.subplots(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (names, rows) in zip(axes, groups):
        image = axis.imshow(
            rows, cmap="gray", norm=PowerNorm(GREY_GAMMA, 0, 1), aspect="equal"
        )
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.set_xticks(range(0, num_units, 5))
        axis.tick_params(length=0)
    axes[-1].set_xlabel("block 3 unit, shallowest left")
    bar = figure.colorbar(
        image, ax=list(axes), orientation="horizontal", ticks=[0, 0.1, 1], aspect=40
    )
    bar.ax.set_xticklabels(["0", "0.1", "1"])
    bar.ax.minorticks_off()
    bar.set_label("|alpha|")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
