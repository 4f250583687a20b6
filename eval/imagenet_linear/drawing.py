"""Pictures of the evaluation: predictions on test photos, accuracy by depth."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval import pictures
from eval.imagenet_linear.testing import Results
from selfsup.images import mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 6
# The photos are chosen among this many at the start of the test split, which is read once
# more to draw them.
_AMONG = 1000
_SIDE = 112

Indices = npt.NDArray[np.int64]


def choose(results: Results) -> tuple[Indices, Indices]:
    """Chooses test photos to draw: (indices of hits, indices of misses), evenly spread."""
    right = results.hits1[-1, :_AMONG]
    return _spread(np.flatnonzero(right)), _spread(np.flatnonzero(~right))


def _spread(indices: Indices) -> Indices:
    picked = np.linspace(0, len(indices) - 1, min(_COLUMNS, len(indices)))
    return indices[np.round(picked).astype(int)]


def save_predictions(
    output: str,
    results: Results,
    images: Mapping[int, npt.NDArray[np.uint8]],
    class_names: Sequence[str],
) -> str:
    """Draws test photos with their predicted and true classes.

    Args:
      output: output folder of the evaluation.
      results: results of the test.
      images: the photos of `choose` by index, uint8 [S, S, 3].
      class_names: class names by label.

    Returns:
      the path of the file.
    """
    rows = choose(results)
    figure, axes = pictures.new_figure(len(rows), _COLUMNS, size=(1.7, 2.0))
    for row, color, line in zip(rows, (mosaic.RIGHT, mosaic.WRONG), axes):
        for axis in line:
            axis.set_axis_off()
        for index, axis in zip(row, line):
            axis.imshow(mosaic.frame(mosaic.shrink(images[index], _SIDE), color))
            axis.set_title(_title(results, index, class_names), fontsize=8)
    figure.suptitle("right above, wrong below", fontsize=9)
    path = os.path.join(pictures.folder(output), "predictions.png")
    pictures.save_figure(path, figure)
    return path


def _title(results: Results, index: int, class_names: Sequence[str]) -> str:
    best = class_names[results.classes[index, 0]]
    title = f"{best} {results.scores[index, 0]:.2f}"
    if not results.hits1[-1, index]:
        title += f"\nis {class_names[results.labels[index]]}"
    return title


def save_probe(
    output: str, names: Sequence[str], results: Results, chance: Mapping[str, float]
) -> str:
    """Draws accuracy by unit, and that of the lasso's combination as a line.

    Args:
      output: output folder of the evaluation.
      names: names of the rows of features.
      results: results of the test.
      chance: chance levels of "top1" and "top5".

    Returns:
      the path of the file.
    """
    figure, axes = pictures.new_figure(columns=2)
    metrics = (("top1", results.hits1), ("top5", results.hits5))
    for axis, (metric, hits) in zip(axes[0], metrics):
        _draw_probe(axis, metric, names, hits.mean(axis=1), chance[metric])
    path = os.path.join(pictures.folder(output), "probe.png")
    pictures.save_figure(path, figure)
    return path


def _draw_probe(
    axis: Axes,
    metric: str,
    names: Sequence[str],
    accuracies: npt.NDArray[np.float64],
    chance: float,
) -> None:
    units = [row for row, name in enumerate(names) if name.startswith("unit_")]
    numbers = [int(names[row].split("_")[1]) for row in units]
    axis.plot(numbers, accuracies[units], "o-", label="unit")
    axis.axhline(chance, color="gray", linestyle=":", label="chance")
    if len(units) < len(names):
        axis.axhline(accuracies[-1], color="C1", label=names[-1])
    axis.set_xlabel("unit of the trunk, shallowest left")
    axis.set_ylabel(metric)
    axis.locator_params(axis="x", integer=True)
    axis.legend(fontsize=8)
