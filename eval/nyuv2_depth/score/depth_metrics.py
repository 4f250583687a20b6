"""The five measures of depth prediction (paper appendix A)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfsup.common.errors import UserError

# Limits of the larger of prediction / truth and truth / prediction.
RATIOS = {"under_1.25": 1.25, "under_1.25_2": 1.25**2, "under_1.25_3": 1.25**3}
ABSOLUTE = "mean_absolute_error"
RELATIVE = "mean_relative_error"
NAMES = (*RATIOS, ABSOLUTE, RELATIVE)

Floats = npt.NDArray[np.float64]


class DepthMetrics:
    """Averages the measures over all valid pixels of all images.

    Each pixel has the same weight, as in Laina et al.'s evaluation, so an image with many
    unknown pixels has less weight than others.

    Attributes:
      pixels: number of valid pixels.
    """

    def __init__(self) -> None:
        self.pixels = 0
        self._sums = dict.fromkeys(NAMES, 0.0)

    def add(
        self, predicted: npt.ArrayLike, truth: npt.ArrayLike, valid: npt.ArrayLike
    ) -> None:
        """Adds one image or a batch of images.

        Args:
          predicted: float [..., H, W], metres. Predictions of 0 or less fail every ratio,
            and count with their value in the mean errors.
          truth: float [..., H, W], metres; positive where valid.
          valid: bool [..., H, W], whether the truth is known.

        Raises:
          UserError: for different shapes, and for valid pixels whose prediction is not
            finite or whose truth is not a positive number.
        """
        predicted, truth, valid = (np.asarray(a) for a in (predicted, truth, valid))
        if not predicted.shape == truth.shape == valid.shape:
            raise UserError(
                f"depth maps of different shapes: predicted {predicted.shape}, true "
                f"{truth.shape}, valid {valid.shape}"
            )
        valid = valid.astype(bool)
        self._add_pixels(
            predicted[valid].astype(np.float64), truth[valid].astype(np.float64)
        )

    def _add_pixels(self, predicted: Floats, truth: Floats) -> None:
        """Adds valid pixels, float64 [N] each."""
        _check(predicted, truth)
        low, high = np.minimum(predicted, truth), np.maximum(predicted, truth)
        for name, ratio in RATIOS.items():
            # Without a division, because predictions may be 0. A negative prediction
            # would satisfy the first comparison.
            self._sums[name] += np.count_nonzero((high < ratio * low) & (low > 0))
        error = np.abs(predicted - truth)
        self._sums[ABSOLUTE] += float(error.sum())
        self._sums[RELATIVE] += float((error / truth).sum())
        self.pixels += truth.size

    def result(self) -> dict[str, float]:
        """Computes the measures.

        Returns:
          "under_1.25", "under_1.25_2" and "under_1.25_3": the share of pixels, in [0, 1],
          whose max(prediction / truth, truth / prediction) is less than 1.25, 1.25^2 and
          1.25^3; "mean_absolute_error" in metres; "mean_relative_error" as a share of the
          true depth.

        Raises:
          UserError: when no pixel was valid.
        """
        if not self.pixels:
            raise UserError("no pixel has a known depth, so nothing can be measured")
        return {name: total / self.pixels for name, total in self._sums.items()}


def _check(predicted: Floats, truth: Floats) -> None:
    if not np.isfinite(predicted).all():
        count = np.count_nonzero(~np.isfinite(predicted))
        raise UserError(f"{count} predicted depths are not finite")
    # Negated, so that NaN is refused as well.
    wrong = ~((truth > 0) & np.isfinite(truth))
    if wrong.any():
        raise UserError(
            f"{np.count_nonzero(wrong)} true depths are not depths, such as "
            f"{truth[wrong][0]:g}; expected positive metres, with unknown pixels not valid"
        )
