"""What a study compares: rows of trunks, at equal costs, in some evaluations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Pretraining:
    """A pretraining of a study; its seed and its cost come from the study.

    Attributes:
      tasks: names of tasks in `selfsup.tasks`, in the order of that registry.
      harmonize: whether inputs are harmonised (paper section 3.3).
      lasso: whether heads read combinations of the trunk's units (paper section 3.2).
      trunk: overrides of the trunk's configuration, such as {"depth": "50"}; empty for
        the trunk of the study's preset.
      flags: further flags of `launch.pretrain` by name, without the dashes; `task_set`
        may hold several values, separated by blanks. `end_cost` 0 gives the pretraining
        a schedule of its own, of `steps` steps: its trunk is evaluated once, at its end,
        and its results stand at the last snapshot.
    """

    tasks: tuple[str, ...]
    harmonize: bool = False
    lasso: bool = False
    trunk: Mapping[str, str] = dataclasses.field(default_factory=dict)
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def has_own_schedule(self) -> bool:
        """Whether it ends by its own number of steps instead of the study's cost."""
        return "end_cost" in self.flags and float(self.flags["end_cost"]) == 0


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the tables of a study: a trunk, and how the evaluations read it.

    Attributes:
      name: name in tables and figures, such as "RP+Col / H"; a key of
        `launch.studies.rows.ROWS`, where the paper has the row.
      pretraining: how its trunk is pretrained; None for a random trunk.
      evaluation_lasso: whether the evaluations combine the units of the trunk, with a row
        of alpha of their own.
      trunk: kind and depth of a random trunk; empty for those of the study's preset.
    """

    name: str
    pretraining: Pretraining | None
    evaluation_lasso: bool = False
    trunk: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation of a study, the same for all its rows.

    Attributes:
      name: name in `eval.registry.EVALUATIONS`.
      flags: flags of its command by name, without the dashes, such as
        {"preset": "tiny"}. `set` may hold several values, separated by blanks.
    """

    name: str
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Study:
    """A declared grid: every row, with every seed, at every snapshot, in every evaluation.

    Attributes:
      name: name of the study.
      description: a sentence for `--help` and for the report.
      rows: rows, in the order of the tables.
      seeds: seeds; a seed serves the pretraining, a random trunk and the evaluations.
      snapshot_cost: cost between two snapshots, in the unit of the option
        costs of `launch.pretrain`.
      snapshots: numbers of the snapshots to evaluate, each a multiple of `snapshot_cost`;
        the greatest ends the pretraining. Random trunks have snapshot 0.
      evaluations: evaluations of every trunk.
      pretraining_flags: flags of every pretraining by name, without the dashes.
      lasso: weight of the L1 penalty on alpha, in pretrainings and evaluations with lasso.
      world: flags of `data_prep.synthetic` by name, for a study that without `data`
        renders its own data; empty for a study that needs `data`.
    """

    name: str
    description: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    snapshot_cost: float
    snapshots: tuple[int, ...]
    evaluations: tuple[EvaluationPlan, ...]
    pretraining_flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lasso: float = 0.0
    world: Mapping[str, str] = dataclasses.field(default_factory=dict)
