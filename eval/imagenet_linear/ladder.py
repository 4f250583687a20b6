"""The choice among layers trained at different learning rates, and what is said of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from selfsup.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Scores:
    """What layers at each rate reach on some photos, by row of features.

    Attributes:
      photos: how many.
      top1, top5: shares in [0, 1], float64 [R, rates].
      cross_entropy: nats, mean, float64 [R, rates].
    """

    photos: int
    top1: np.ndarray
    top5: np.ndarray
    cross_entropy: np.ndarray

    def report(self) -> dict:
        """Dict of JSON types; None for what is not finite."""
        values = {
            name: getattr(self, name).tolist()
            for name in ("top1", "top5", "cross_entropy")
        }
        values["cross_entropy"] = [
            [value if np.isfinite(value) else None for value in row]
            for row in values["cross_entropy"]
        ]
        return {"photos": self.photos, **values}


def choose(scores: Scores) -> np.ndarray:
    """The rate of each row whose layer has the lowest cross-entropy.

    On few photos top-1 differs between rates by chance; cross-entropy, which weighs
    every photo's probability, tells rates apart with far fewer.

    Args:
      scores: of the held-out photos.

    Returns:
      int64 [R], indices of rates.

    Raises:
      UserError: where no layer of a row has a finite cross-entropy.
    """
    finite = np.isfinite(scores.cross_entropy)
    if not np.all(np.any(finite, axis=1)):
        raise UserError(
            "imagenet_linear: no learning rate of the ladder gave a finite loss on the "
            "held-out photos; lower ones are set by --set=learning_rates=[...]"
        )
    return np.argmin(np.where(finite, scores.cross_entropy, np.inf), axis=1)


def remarks(rates, scores: Scores, chosen: np.ndarray) -> list[str]:
    """What people should know of the choice for the evaluation's row, in sentences.

    Args:
      rates: the ladder, rising.
      scores: of the held-out photos.
      chosen: of `choose`.
    """
    best = int(chosen[-1])
    ladder = ", ".join(f"{rate:g}" for rate in rates)
    said = [
        f"learning rate {rates[best]:g} of {ladder}: top1 "
        f"{scores.top1[-1, best]:.4f} on {scores.photos} held-out training photos"
    ]
    if best in (0, len(rates) - 1):
        end = "lowest" if best == 0 else "highest"
        said.append(
            f"this is the {end} learning rate of the ladder, so a better one may lie "
            "outside; --set=learning_rates=[...] makes it wider"
        )
    return said


def report(rates, chosen: np.ndarray, held_out, test: Scores) -> dict:
    """The whole ladder's numbers, as a dict of JSON types for metrics.json.

    Args:
      rates: the ladder.
      chosen: int [R].
      held_out: `Scores`, or None where there was nothing to choose.
      test: `Scores`.
    """
    return {
        "learning_rates": list(rates),
        "chosen": [rates[index] for index in chosen],
        "held_out": None if held_out is None else held_out.report(),
        "test": test.report(),
    }
