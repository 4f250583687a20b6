"""The results of a study as its report reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from launch.studies.study import Study

# Between the commits of a command that was resumed with other source code.
COMMITS = ", "

CellState = Literal["done", "failed", "running", "waiting"]


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a number comes from.

    Attributes:
      command: the command line that made it, as a person would type it.
      folder: output folder of that command, relative to the folder of the study.
      commit: commit of this package's source, with "+" if it was changed; "" if unknown;
        several, joined by `COMMITS`, if the command was resumed with other source code.
      data: checksum of each data set that was read, by folder.
      seconds: seconds that the command ran, over all its interruptions.
      started: time of the first start, ISO 8601 in UTC.
      versions: versions of this package and of the packages that it builds on.
      facts: what else a report says beside the number, such as its seed and its cost.
    """

    command: str
    folder: str
    commit: str
    data: Mapping[str, str]
    seconds: float
    started: str
    versions: Mapping[str, str]
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A finished evaluation of a trunk.

    Attributes:
      row: name of the study's row.
      seed: its seed.
      snapshot: number of the snapshot; 0 for a random trunk.
      cost: cost of the pretraining up to the snapshot; 0 for a random trunk.
      evaluation: name of the evaluation.
      metrics: numbers by name, see docs/evaluations.md; shares are 0 to 1.
      chance: chance levels by metric, where an evaluation has them.
      alpha: the evaluation's row of alpha, shallowest unit first; None without the lasso.
      provenance: the evaluation's command.
      headline: name of the metric that the paper's charts show.
    """

    row: str
    seed: int
    snapshot: int
    cost: float
    evaluation: str
    metrics: Mapping[str, float]
    chance: Mapping[str, float]
    alpha: tuple[float, ...] | None
    provenance: Provenance
    headline: str = ""


@dataclasses.dataclass(frozen=True)
class PretrainingResult:
    """A pretraining of a study, as far as it has come.

    Attributes:
      rows: names of the study's rows that evaluate its trunk.
      seed: its seed.
      folder: folder of the run, relative to the folder of the study.
      cost: cost up to the study's last snapshot, or up to the newest checkpoint of a run
        that has not reached it.
      alpha: |alpha| in this state by task, shallowest unit first; empty without the lasso.
      provenance: the pretraining's command.
    """

    rows: tuple[str, ...]
    seed: int
    folder: str
    cost: float
    alpha: Mapping[str, tuple[float, ...]]
    provenance: Provenance


@dataclasses.dataclass(frozen=True)
class CellStatus:
    """The state of a cell of the grid.

    Attributes:
      name: unique name of the cell in its study.
      state: "waiting" also if another cell has to finish first.
      command: the command line of the cell.
      reason: why it failed, in a line; "" otherwise.
    """

    name: str
    state: CellState
    command: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class StudyResults:
    """Everything that a report of a study shows.

    Attributes:
      study: the declared grid.
      measurements: finished evaluations.
      pretrainings: pretrainings that have started.
      cells: all cells, in the order in which the study runs them.
    """

    study: Study
    measurements: tuple[Measurement, ...]
    pretrainings: tuple[PretrainingResult, ...]
    cells: tuple[CellStatus, ...]
