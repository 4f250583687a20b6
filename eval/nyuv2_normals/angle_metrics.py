"""The five measures of surface normals (Fouhey, Gupta & Hebert, ICCV 2013)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfsup.common.errors import UserError

LIMITS = (11.25, 22.5, 30.0)
MEAN = "angle_mean"
MEDIAN = "angle_median"
NAMES = (*(f"within_{limit:g}" for limit in LIMITS), MEAN, MEDIAN)

# The median comes from a histogram of this many equal bins of [0, 180] degrees.
_BINS = 18_000


class AngleMetrics:
    """Collects the angles between predicted and true normals of all valid pixels.

    Each pixel has the same weight.

    Attributes:
      pixels: number of valid pixels.
    """

    def __init__(self) -> None:
        self.pixels = 0
        self._sum = 0.0
        self._within = dict.fromkeys(LIMITS, 0)
        self._histogram = np.zeros(_BINS, np.int64)

    def add(
        self, predicted: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]
    ) -> None:
        """Adds one image or a batch of images.

        Args:
          predicted: float [..., 3], vectors of any length above 0, or one vector [3].
          truth: float [..., 3], unit vectors; pixels of 0 are not valid.

        Raises:
          UserError: when the prediction of a valid pixel is not finite or is 0.
        """
        valid = np.any(truth != 0, axis=-1)
        angles = degrees_between(
            np.broadcast_to(predicted, truth.shape)[valid], truth[valid]
        )
        if not np.all(np.isfinite(angles)):
            raise UserError(
                f"{np.count_nonzero(~np.isfinite(angles))} predicted normals are not "
                "finite or have no direction"
            )
        self.pixels += angles.size
        self._sum += float(angles.sum())
        for limit in LIMITS:
            self._within[limit] += int(np.count_nonzero(angles < limit))
        bins = np.minimum((angles * (_BINS / 180.0)).astype(np.int64), _BINS - 1)
        self._histogram += np.bincount(bins, minlength=_BINS)

    def result(self) -> dict[str, float]:
        """Computes the measures.

        Returns:
          "within_11.25", "within_22.5" and "within_30": shares of the pixels, in [0, 1],
          whose angle is less than these degrees; "angle_mean" and "angle_median" in
          degrees, the median to within 0.005 degrees.

        Raises:
          UserError: when no pixel was valid.
        """
        if not self.pixels:
            raise UserError("no pixel has a known normal, so nothing can be measured")
        middle = np.searchsorted(np.cumsum(self._histogram), self.pixels / 2)
        return {
            **{f"within_{k:g}": n / self.pixels for k, n in self._within.items()},
            MEAN: self._sum / self.pixels,
            MEDIAN: (float(middle) + 0.5) * 180.0 / _BINS,
        }


def degrees_between(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Angles between vectors: float [..., 3] each, to float64 [...] degrees.

    The angle is the arc tangent of sine and cosine, which is exact for small angles too;
    NaN for a vector of length 0.
    """
    u, v = (np.asarray(vectors, np.float64) for vectors in (first, second))
    sine = np.linalg.norm(np.cross(u, v), axis=-1)
    cosine = np.sum(u * v, axis=-1)
    angles = np.degrees(np.arctan2(sine, cosine))
    return np.where((sine == 0) & (cosine == 0), np.nan, angles)
