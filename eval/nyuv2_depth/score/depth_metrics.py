"""The five measures of depth prediction (paper appendix A)."""

import numpy as np

from selfsup.common.errors import UserError

# Of the larger of prediction / truth and truth / prediction.
RATIOS = {"under_1.25": 1.25, "under_1.25_2": 1.25**2, "under_1.25_3": 1.25**3}
ABSOLUTE = "mean_absolute_error"
RELATIVE = "mean_relative_error"
NAMES = (*RATIOS, ABSOLUTE, RELATIVE)


class DepthMetrics:
    """Means over all valid pixels of all images that were added.

    Each pixel counts the same, as in Laina et al.'s evaluation, so that an image with
    many unknown pixels weighs less than others.

    Attributes:
      pixels: how many valid ones there were.
    """

    def __init__(self):
        self.pixels = 0
        self._sums = dict.fromkeys(NAMES, 0.0)

    def add(self, predicted, truth, valid):
        """Adds one image or a batch.

        Args:
          predicted: float [..., H, W] in metres. Zero and less are wrong by every
            ratio, and by as much as they are for the mean errors.
          truth: float, of the same shape, in metres; over 0 where valid.
          valid: bool, of the same shape: whether the truth is known.

        Raises:
          UserError: for shapes that differ, and for valid pixels whose prediction is
            not finite or whose truth is no depth.
        """
        predicted, truth, valid = (np.asarray(a) for a in (predicted, truth, valid))
        if not predicted.shape == truth.shape == valid.shape:
            raise UserError(
                f"depth maps of different shapes: predicted {predicted.shape}, true "
                f"{truth.shape}, valid {valid.shape}"
            )
        valid = valid.astype(bool)
        predicted, truth = (a[valid].astype(np.float64) for a in (predicted, truth))
        _check(predicted, truth)
        low, high = np.minimum(predicted, truth), np.maximum(predicted, truth)
        for name, ratio in RATIOS.items():
            # Not divided: predictions may be 0. With one below it, both sides would
            # change their sign.
            self._sums[name] += np.count_nonzero((high < ratio * low) & (low > 0))
        error = np.abs(predicted - truth)
        self._sums[ABSOLUTE] += float(error.sum())
        self._sums[RELATIVE] += float((error / truth).sum())
        self.pixels += truth.size

    def result(self):
        """The measures: dict of floats.

        "under_1.25", "under_1.25_2" and "under_1.25_3" are the fractions of pixels in
        [0, 1] whose max(prediction / truth, truth / prediction) is less than 1.25,
        1.25^2 and 1.25^3; "mean_absolute_error" is in metres, "mean_relative_error"
        in parts of the true depth.

        Raises:
          UserError: when no pixel was valid.
        """
        if not self.pixels:
            raise UserError("no pixel has a known depth: nothing to measure")
        return {name: total / self.pixels for name, total in self._sums.items()}


def _check(predicted, truth):
    if not np.isfinite(predicted).all():
        count = np.count_nonzero(~np.isfinite(predicted))
        raise UserError(f"{count} predicted depths are not finite")
    # Written so that NaN is refused too.
    wrong = ~((truth > 0) & np.isfinite(truth))
    if wrong.any():
        raise UserError(
            f"{np.count_nonzero(wrong)} true depths are no depths, such as "
            f"{truth[wrong][0]:g}; expected metres over 0, and unknown ones not valid"
        )
