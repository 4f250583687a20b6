"""Choice among layers trained at a ladder of learning rates, and reports of the choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eval.json_types import JsonObject
from selfsup.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of the layers at each learning rate on some photos.

    There are R rows of features and K learning rates.

    Attributes:
      photos: number of photos.
      top1, top5: accuracies in [0, 1], float64 [R, K].
      cross_entropy: means in nats, float64 [R, K].
    """

    photos: int
    top1: npt.NDArray[np.float64]
    top5: npt.NDArray[np.float64]
    cross_entropy: npt.NDArray[np.float64]

    def report(self) -> JsonObject:
        """The scores as JSON values; None for numbers that are not finite."""
        values = {
            name: getattr(self, name).tolist()
            for name in ("top1", "top5", "cross_entropy")
        }
        values["cross_entropy"] = [
            [value if np.isfinite(value) else None for value in row]
            for row in values["cross_entropy"]
        ]
        return {"photos": self.photos, **values}


def choose(scores: Scores) -> npt.NDArray[np.int64]:
    """Chooses for each row the learning rate whose layer has the lowest cross-entropy.

    On few photos, top-1 accuracy differs between learning rates by chance. Cross-entropy
    weighs the probability of every photo, so it needs far fewer photos.

    Args:
      scores: scores on the held-out photos.

    Returns:
      int64 [R], indices of learning rates.

    Raises:
      UserError: when no layer of a row has a finite cross-entropy.
    """
    finite = np.isfinite(scores.cross_entropy)
    if not np.all(np.any(finite, axis=1)):
        raise UserError(
            "imagenet_linear: no learning rate of the ladder gave a finite loss on the "
            "held-out photos; set lower rates with set=learning_rates=[...]"
        )
    return np.argmin(np.where(finite, scores.cross_entropy, np.inf), axis=1)


def remarks(
    rates: Sequence[float], scores: Scores, chosen: npt.NDArray[np.int64]
) -> list[str]:
    """Describes the choice for the evaluation's own row, the last, in sentences.

    Args:
      rates: the learning rates, in increasing order.
      scores: scores on the held-out photos.
      chosen: int64 [R], the result of `choose`.
    """
    best = int(chosen[-1])
    ladder = ", ".join(f"{rate:g}" for rate in rates)
    sentences = [
        f"learning rate {rates[best]:g} of {ladder}: top1 "
        f"{scores.top1[-1, best]:.4f} on {scores.photos} held-out training photos"
    ]
    if best in (0, len(rates) - 1):
        end = "lowest" if best == 0 else "highest"
        sentences.append(
            f"this is the {end} learning rate of the ladder, so a better rate may lie "
            "outside; set=learning_rates=[...] widens the ladder"
        )
    return sentences


def report(
    rates: Sequence[float],
    chosen: npt.NDArray[np.int64],
    held_out: Scores | None,
    test: Scores,
) -> JsonObject:
    """The numbers of the whole ladder as JSON values, for metrics.json.

    Args:
      rates: the learning rates.
      chosen: int64 [R], indices of learning rates.
      held_out: scores on the held-out photos, or None for a ladder of one rate.
      test: scores on the test photos.
    """
    return {
        "learning_rates": list(rates),
        "chosen": [rates[index] for index in chosen],
        "held_out": None if held_out is None else held_out.report(),
        "test": test.report(),
    }
