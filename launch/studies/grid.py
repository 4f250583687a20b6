"""Turns a study into its cells, in the order in which they run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from launch.studies import cell, data_cells, presets_content, study_data
from launch.studies.cell import Cell
from launch.studies.study import EvaluationPlan, Pretraining, Row, Study
from launch.studies.study_data import PRETRAINING, StudyData
from selfsup.common.errors import SettingError, UserError
from selfsup.pretraining import presets

if TYPE_CHECKING:
    from typing import Any

# The default of the commands.
_DEFAULT_PRESET = "paper"
# The end cost ends a pretraining, never the number of steps.
_NO_END = "100000000"
# What may differ between a pretraining and a longer one that continues it.
_LENGTH = ("steps", "end_cost", "checkpoint_seconds")
_VALIDATION = "validation.json"
_METRICS = "metrics.json"


def expand(study: Study, output: str, data: StudyData | None) -> tuple[Cell, ...]:
    """Returns the cells of a study: data, then seed by seed, row by row.

    A seed's cells come before those of the next seed, so that a study that is stopped
    has compared all rows. A cell comes after the cells that it needs.

    Args:
      study: the study.
      output: absolute path of its folder.
      data: its data sets; None to render and build the study's synthetic world.

    Raises:
      UserError: if the study needs data, or if two cells would be the same command.
    """
    cells: list[Cell] = []
    if data is None:
        if not study.world:
            raise SettingError(
                "data", f"give the built data sets of study {study.name}"
            )
        made, data = data_cells.world_cells(study.world, output)
        used = {
            name for use in study_data.uses(study) for name in data.sources[use].needs
        }
        cells += [each for each in made if not each.needs or each.name in used]
    needs_prior = any(
        row.pretraining and presets.color_prior_fields(row.pretraining.tasks)
        for row in study.rows
    )
    prior = None
    if needs_prior and not data.color_prior:
        prior = data_cells.color_prior_cell(data.sources[PRETRAINING], output)
        cells.append(prior)
    grid = _Grid(study, output, data, prior)
    for seed in study.seeds:
        cells += grid.cells_of_seed(seed)
    return _distinct(cells)


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Makes the cells of pretrainings and evaluations.

    Attributes:
      study: the study.
      output: absolute path of its folder.
      data: its data.
      prior: the cell that measures the colour prior, if one does.
    """

    study: Study
    output: str
    data: StudyData
    prior: Cell | None

    def cells_of_seed(self, seed: int) -> Iterator[Cell]:
        """Yields each row's pretraining, unless an earlier row has it, and evaluations."""
        known: dict[str, Cell] = {}
        for row in self.study.rows:
            pretraining = None
            if row.pretraining:
                pretraining = self._pretraining(row, row.pretraining, seed)
                if pretraining.fingerprint not in known:
                    known[pretraining.fingerprint] = pretraining
                    yield pretraining
                pretraining = known[pretraining.fingerprint]
            for snapshot in self._snapshots(row):
                for plan in self.study.evaluations:
                    yield self._evaluation(row, plan, pretraining, snapshot, seed)

    def _snapshots(self, row: Row) -> tuple[int, ...]:
        if row.pretraining is None:
            return (0,)
        if row.pretraining.has_own_schedule:
            return (max(self.study.snapshots),)
        return self.study.snapshots

    def _pretraining(self, row: Row, pretraining: Pretraining, seed: int) -> Cell:
        source = self.data.sources[PRETRAINING]
        flags = self._pretraining_flags(pretraining, seed)
        own = pretraining.has_own_schedule
        settings: dict[str, Any] = {
            "module": "launch.pretrain",
            "flags": {
                name: value
                for name, value in flags.items()
                if own or name not in _LENGTH
            },
            "preset": presets_content.of_pretraining(
                flags.get("preset", _DEFAULT_PRESET), pretraining.tasks
            ),
            "data": source.content,
        }
        needs = source.needs
        prior_fields = presets.color_prior_fields(pretraining.tasks)
        if prior_fields:
            settings["color_prior"], path = self._color_prior()
            needs += (self.prior.name,) if self.prior else ()
            given = flags.get("task_set", "")
            added = [
                f"{each}={path}" for each in prior_fields if f"{each}=" not in given
            ]
            flags["task_set"] = " ".join([given, *added]).strip()
        fingerprint = cell.digest(settings)
        name = f"pretrain {_describe(pretraining)} seed {seed}"
        folder = os.path.join("pretraining", _folder_name(name, fingerprint))
        last = f"checkpoints/snapshot-{max(self.study.snapshots):03d}/state.json"
        return Cell(
            name=name,
            kind="pretraining",
            module="launch.pretrain",
            flags={
                "data": source.folder,
                "model_dir": os.path.join(self.output, folder),
                **flags,
            },
            folder=folder,
            finished=tuple(
                os.path.join(folder, path)
                for path in ((_VALIDATION,) if own else (last, _VALIDATION))
            ),
            fingerprint=fingerprint,
            settings=settings,
            needs=needs,
            reads=(source.folder,),
            rows=tuple(
                each.name for each in self.study.rows if each.pretraining == pretraining
            ),
            seed=seed,
        )

    def _pretraining_flags(self, pretraining: Pretraining, seed: int) -> dict[str, str]:
        study = self.study
        flags = {"tasks": ",".join(pretraining.tasks), **study.pretraining_flags}
        if pretraining.trunk:
            flags["trunk_set"] = " ".join(
                f"{key}={value}" for key, value in pretraining.trunk.items()
            )
        if pretraining.harmonize:
            flags["harmonize"] = "true"
        if pretraining.lasso:
            flags["lasso"] = _number(study.lasso)
        if pretraining.has_own_schedule:
            flags["snapshot_cost"] = "0"
        else:
            flags["snapshot_cost"] = _number(study.snapshot_cost)
            flags["end_cost"] = _number(study.snapshot_cost * max(study.snapshots))
            flags["steps"] = _NO_END
        for name, value in pretraining.flags.items():
            repeated = name in ("task_set", "trunk_set") and name in flags
            flags[name] = f"{flags[name]} {value}" if repeated else value
        return {**flags, "seed": str(seed)}

    def _color_prior(self) -> tuple[str, str]:
        """Returns the fingerprint and the path of the colour prior."""
        if self.prior:
            return self.prior.fingerprint, os.path.join(self.output, self.prior.folder)
        path = self.data.color_prior
        return study_data.prior_content(path), path

    def _evaluation(
        self,
        row: Row,
        plan: EvaluationPlan,
        pretraining: Cell | None,
        snapshot: int,
        seed: int,
    ) -> Cell:
        source = self.data.sources[plan.name]
        flags = dict(plan.flags)
        if row.evaluation_lasso:
            flags["lasso"] = _number(self.study.lasso)
        trunk = "random"
        if pretraining:
            trunk = os.path.join(self.output, pretraining.folder)
            if row.pretraining and not row.pretraining.has_own_schedule:
                flags["checkpoint"] = f"snapshot-{snapshot:03d}"
        flags.update(_random_trunk_flags(row))
        flags["seed"] = str(seed)
        settings: dict[str, Any] = {
            "module": f"eval.{plan.name}",
            "flags": flags,
            "preset": presets_content.of_evaluation(
                plan.name, flags.get("preset", _DEFAULT_PRESET)
            ),
            "data": source.content,
            "trunk": pretraining.fingerprint if pretraining else trunk,
        }
        fingerprint = cell.digest(settings)
        at = f" snapshot {snapshot}" if pretraining else ""
        name = f"{plan.name} {row.name}{at} seed {seed}"
        folder = os.path.join(plan.name, _folder_name(name, fingerprint, plan.name))
        return Cell(
            name=name,
            kind="evaluation",
            module=f"eval.{plan.name}",
            flags={
                "trunk": trunk,
                "data": source.folder,
                "output": os.path.join(self.output, folder),
                **flags,
            },
            folder=folder,
            finished=(os.path.join(folder, _METRICS),),
            fingerprint=fingerprint,
            settings=settings,
            needs=(*source.needs, *((pretraining.name,) if pretraining else ())),
            reads=(source.folder,),
            rows=(row.name,),
            seed=seed,
            snapshot=snapshot,
            evaluation=plan.name,
        )


def _random_trunk_flags(row: Row) -> dict[str, str]:
    """The flags of the kind and depth of a random trunk."""
    if row.pretraining:
        return {}
    names = {"kind": "trunk_kind", "depth": "depth"}
    return {names[key]: value for key, value in row.trunk.items()}


def _describe(pretraining: Pretraining) -> str:
    """A readable name, the same for equal pretrainings."""
    parts = [
        "+".join(pretraining.tasks),
        *(["harmonize"] if pretraining.harmonize else []),
        *(["lasso"] if pretraining.lasso else []),
        *(f"{key}={value}" for key, value in pretraining.trunk.items()),
        *(f"{key}={value}" for key, value in pretraining.flags.items()),
    ]
    return " ".join(parts)


def _folder_name(name: str, fingerprint: str, without: str = "pretrain") -> str:
    """The name of a cell's folder; its kind is the name of the folder above."""
    return cell.with_fingerprint(name[len(without) :], fingerprint)


def _number(value: float) -> str:
    return f"{value:.10g}"


def _distinct(cells: list[Cell]) -> tuple[Cell, ...]:
    """Merges evaluations that are the same command, for rows of different names.

    Raises:
      UserError: if two different cells have the same name.
    """
    by_fingerprint: dict[str, Cell] = {}
    names: Mapping[str, str] = {}
    for each in cells:
        known = by_fingerprint.get(each.fingerprint)
        if known:
            rows = (*known.rows, *(row for row in each.rows if row not in known.rows))
            each = dataclasses.replace(known, rows=rows)
        by_fingerprint[each.fingerprint] = each
    names = {}
    for each in by_fingerprint.values():
        if each.name in names:
            raise UserError(
                f"two cells of the study are called {each.name!r}: give its rows names "
                "that differ"
            )
        names[each.name] = each.fingerprint
    return tuple(by_fingerprint.values())
