"""Options that all tables share."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
      rounds: measurements of each contestant.
      seconds: about the elapsed seconds of a measurement.
      preset: preset of the networks and tasks.
      task_overrides: texts "TASK.KEY=VALUE".
      sizes: of the trunk's inputs, as (batch, side in pixels).
      peers: Python of the environment with PyTorch and timm; None to leave them out.
      bfloat16: whether to measure bfloat16, too.
    """

    rounds: int
    seconds: float
    preset: str
    task_overrides: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    peers: str | None
    bfloat16: bool
