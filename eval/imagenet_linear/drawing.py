"""Pictures of the evaluation: predictions on test photos, accuracy by depth."""

import os

import numpy as np

from eval import pictures
from selfsup.images import mosaic

_EACH = 6
# Of the first so many test photos, which are read once more for it.
_AMONG = 1000
_SIDE = 112


def choose(results):
    """Indices of test photos to show: (right, wrong), evenly spread, a few of each."""
    right = results.hits1[-1, :_AMONG]
    return _spread(np.flatnonzero(right)), _spread(np.flatnonzero(~right))


def _spread(indices):
    picked = np.linspace(0, len(indices) - 1, min(_EACH, len(indices)))
    return indices[np.round(picked).astype(int)]


def save_predictions(output, results, images, class_names):
    """Draws test photos with what they are and what they were taken for.

    Args:
      output: the evaluation's folder.
      results: `testing.Results`.
      images: {index: uint8 [S, S, 3]} of `choose`.
      class_names: by label.

    Returns:
      the file's path.
    """
    rows = choose(results)
    figure, axes = pictures.new_figure(len(rows), _EACH, size=(1.7, 2.0))
    for row, color, line in zip(rows, (mosaic.RIGHT, mosaic.WRONG), axes):
        for axis in line:
            axis.set_axis_off()
        for index, axis in zip(row, line):
            _draw(axis, results, index, images[index], color, class_names)
    figure.suptitle("right above, wrong below", fontsize=9)
    path = os.path.join(pictures.folder(output), "predictions.png")
    pictures.save_figure(path, figure)
    return path


def _draw(axis, results, index, image, color, class_names):
    axis.imshow(mosaic.frame(mosaic.shrink(image, _SIDE), color))
    best = class_names[results.classes[index, 0]]
    title = f"{best} {results.scores[index, 0]:.2f}"
    if not results.hits1[-1, index]:
        title += f"\nis {class_names[results.labels[index]]}"
    axis.set_title(title, fontsize=8)


def save_probe(output, names, results, chance):
    """Draws accuracy by block 3 unit, and of the lasso's combination as a line.

    Args:
      output: the evaluation's folder.
      names: of the rows.
      results: `testing.Results`.
      chance: {"top1", "top5"}.

    Returns:
      the file's path.
    """
    units = [row for row, name in enumerate(names) if name.startswith("unit_")]
    figure, axes = pictures.new_figure(columns=2)
    kinds = (("top1", results.hits1), ("top5", results.hits5))
    for axis, (kind, found) in zip(axes[0], kinds):
        accuracies = found.mean(axis=1)
        numbers = [int(names[row].split("_")[1]) for row in units]
        axis.plot(numbers, accuracies[units], "o-", label="unit")
        axis.axhline(chance[kind], color="gray", linestyle=":", label="chance")
        if len(units) < len(names):
            axis.axhline(accuracies[-1], color="C1", label=names[-1])
        axis.set_xlabel("block 3 unit, shallowest left")
        axis.set_ylabel(kind)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(fontsize=8)
    path = os.path.join(pictures.folder(output), "probe.png")
    pictures.save_figure(path, figure)
    return path
