"""Chance: the constant normals that are best on the training frames.

Each measure has its own best constant. The direction of the mean normal has the smallest
mean of 1 - cosine, but few normals are near it if the frames show walls and floors only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eval import complete_pass
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_normals.angle_metrics import LIMITS, MEAN, MEDIAN
from eval.watched_batches import watched
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals

# Normals are counted in cubes of this many to a unit of length: about 3.6 degrees wide.
_CELLS = 16

Vectors = npt.NDArray[np.float64]


class NormalCounts:
    """Counts normals by direction, in the cells of a cubic grid."""

    def __init__(self) -> None:
        side = 2 * _CELLS + 1
        self._shape = (side, side, side)
        self._counts = np.zeros(side**3, np.int64)
        self._sums = np.zeros((side**3, 3))

    def add(self, normals: npt.NDArray[np.float32]) -> None:
        """Adds normals, float32 [..., 3]; those of 0 do not count."""
        known = normals[np.any(normals != 0, axis=-1)]
        index = np.round((known + 1) * _CELLS).astype(np.int64)
        cells = np.ravel_multi_index(tuple(index.T), self._shape)
        size = len(self._counts)
        self._counts += np.bincount(cells, minlength=size)
        for axis in range(3):
            self._sums[:, axis] += np.bincount(cells, known[:, axis], size)

    def best_constants(self) -> dict[str, Vectors]:
        """Finds the best constant prediction for each measure.

        The candidates are the mean normals of all cells and the mean of all normals.

        Returns:
          unit vectors, float64 [3], by the names of `angle_metrics.NAMES`.

        Raises:
          UserError: when there was no normal.
        """
        chosen = self._counts > 0
        if not chosen.any():
            raise UserError(
                "no training frame has a surface normal: depth is unknown, or fit_error "
                "or fit_known excludes all pixels"
            )
        weights = self._counts[chosen] / self._counts.sum()
        cells = _unit(self._sums[chosen])
        candidates = np.concatenate([cells, _unit(self._sums.sum(axis=0))[None]])
        angles = np.degrees(np.arccos(np.clip(candidates @ cells.T, -1, 1)))
        best = {
            f"within_{limit:g}": int(np.argmax((angles < limit) @ weights))
            for limit in LIMITS
        }
        best[MEAN] = int(np.argmin(angles @ weights))
        best[MEDIAN] = int(np.argmin(_medians(angles, weights)))
        return {name: candidates[index] for name, index in best.items()}


def best_constants(data: DepthDataset, stop: StopSignals) -> dict[str, Vectors]:
    """Finds the best constants on the training frames; see `NormalCounts`.

    Args:
      data: the data, with `NormalsExamples`.
      stop: the signals that stop the pass, already entered as a context.

    Raises:
      UserError: when a shard is damaged, or no frame has a normal.
      Stopped: when a signal arrives.
    """
    counts, batches = NormalCounts(), data.in_file_order(data.train)
    with complete_pass.damage_explained(data.train):
        for batch in watched(batches, "training normals", data.train.records, stop):
            counts.add(batch["normals"].numpy())
    return counts.best_constants()


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def _medians(angles: Vectors, weights: Vectors) -> Vectors:
    """Weighted median of each row of [N, M], with weights [M] of sum 1: [N]."""
    order = np.argsort(angles, axis=1)
    below = np.cumsum(weights[order], axis=1) < 0.5
    middle = np.minimum(below.sum(axis=1), angles.shape[1] - 1)
    rows = np.arange(len(angles))
    return np.asarray(angles[rows, order[rows, middle]])
