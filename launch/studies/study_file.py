"""Studies that a person declares in a JSON file; docs/studies.md explains the format."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from launch.studies import named
from launch.studies.rows import ROWS
from launch.studies.study import EvaluationPlan, Pretraining, Row, Study
from launch.studies.study_data import FOLDERS
from selfsup import tasks
from selfsup.common import paths
from selfsup.common.errors import SettingError, UserError, error_reason

T = TypeVar("T")
# A JSON object.
_Json = Mapping[str, Any]

_ROW_FIELDS = ("name", "pretraining", "evaluation_lasso", "trunk")
_PRETRAINING_FIELDS = ("tasks", "harmonize", "lasso", "trunk", "flags")
# Flags that a study sets itself. Given by a file, they would send results of several cells
# to one folder, or end pretrainings at different costs.
_SCHEDULE = ("steps", "end_cost")
_PRETRAINING_OWN = ("data", "model_dir", "tasks", "seed", "snapshot_cost")
_EVALUATION_OWN = ("trunk", "data", "output", "checkpoint", "seed")


def load(name_or_file: str) -> Study:
    """Returns the study of a file, or a named one if there is no such file.

    Raises:
      UserError: for an unknown name, or a file that declares no study; the message names
        the file and the field.
    """
    try:
        path = paths.local(name_or_file)
    except UserError as error:
        raise SettingError(f"study={name_or_file}", str(error)) from error
    if not os.path.isfile(path):
        if path.endswith(".json") or os.sep in path:
            raise SettingError(f"study={name_or_file}", "there is no such file")
        return named.named(path)
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not JSON: {error_reason(error)}") from error
    return from_json(fields, path)


def to_json(study: Study) -> dict[str, object]:
    """Returns the study as JSON types, which `from_json` reads."""
    return dataclasses.asdict(study)


def from_json(fields: object, source: str) -> Study:
    """Returns the study that JSON types declare.

    Args:
      fields: the content of the file.
      source: what to call the file in errors.

    Raises:
      UserError: if a field is missing, unknown, or of the wrong type or range.
    """
    reader = _Reader(source, "", fields)
    reader.allow([each.name for each in dataclasses.fields(Study)])
    study = Study(
        name=reader.text("name", os.path.splitext(os.path.basename(source))[0]),
        description=reader.text("description", ""),
        rows=reader.items("rows", _row),
        seeds=reader.numbers("seeds", least=0, default=(0,)),
        snapshot_cost=reader.number("snapshot_cost", 0.0),
        snapshots=reader.numbers("snapshots", least=1, default=(1,)),
        evaluations=reader.items("evaluations", _evaluation),
        pretraining_flags=reader.texts(
            "pretraining_flags", refused=(*_PRETRAINING_OWN, *_SCHEDULE)
        ),
        lasso=reader.number("lasso", 0.0),
        world=reader.texts("world"),
    )
    _check(study, reader)
    return study


def _check(study: Study, reader: _Reader) -> None:
    """Refuses what no single field shows to be wrong."""
    names = [row.name for row in study.rows]
    for name in names:
        if names.count(name) > 1:
            raise reader.error("rows", f"the name {name!r} is used twice")
    plans = [plan.name for plan in study.evaluations]
    for name in plans:
        if plans.count(name) > 1:
            raise reader.error("evaluations", f"{name} is listed twice")
    pretrained = [row.pretraining for row in study.rows if row.pretraining]
    if not study.snapshot_cost and not all(
        each.has_own_schedule for each in pretrained
    ):
        raise reader.error(
            "snapshot_cost", "expected a number above 0, the cost between two snapshots"
        )
    uses_lasso = any(each.lasso for each in pretrained)
    if not study.lasso and (
        uses_lasso or any(row.evaluation_lasso for row in study.rows)
    ):
        raise reader.error(
            "lasso", "expected a weight above 0, because rows use the lasso"
        )


def _row(reader: _Reader) -> Row:
    if isinstance(reader.fields, str):
        if reader.fields not in ROWS:
            raise reader.error(
                "",
                f"{reader.fields!r} is no row of the paper; expected an object, or one "
                f"of: {', '.join(ROWS)}",
            )
        return ROWS[reader.fields]
    reader.allow(_ROW_FIELDS)
    pretraining = reader.optional("pretraining")
    return Row(
        name=reader.text("name"),
        pretraining=_pretraining(pretraining) if pretraining else None,
        evaluation_lasso=reader.flag("evaluation_lasso"),
        trunk=reader.texts("trunk", allowed=("kind", "depth")),
    )


def _pretraining(reader: _Reader) -> Pretraining:
    reader.allow(_PRETRAINING_FIELDS)
    names = reader.items("tasks", _task)
    if len(set(names)) < len(names):
        raise reader.error("tasks", f"a task is listed twice: {', '.join(names)}")
    flags = reader.texts("flags", refused=_PRETRAINING_OWN)
    schedule = {name: flags[name] for name in _SCHEDULE if name in flags}
    if schedule and ("steps" not in schedule or not _is_zero(flags.get("end_cost"))):
        raise reader.error(
            "flags",
            f"expected steps together with end_cost 0, or neither; found {schedule}",
        )
    return Pretraining(
        # In the order of the registry, so that an order in the file is no other cell.
        tasks=tuple(name for name in tasks.REGISTRY if name in names),
        harmonize=reader.flag("harmonize"),
        lasso=reader.flag("lasso"),
        trunk=reader.texts("trunk"),
        flags=flags,
    )


def _is_zero(text: str | None) -> bool:
    try:
        return text is not None and float(text) == 0
    except ValueError:
        return False


def _task(reader: _Reader) -> str:
    return reader.choice(tuple(tasks.REGISTRY))


def _evaluation(reader: _Reader) -> EvaluationPlan:
    if isinstance(reader.fields, str):
        return EvaluationPlan(reader.choice(tuple(FOLDERS)))
    reader.allow(("name", "flags"))
    name = _Reader(reader.source, f"{reader.place}.name", reader.text("name"))
    flags = reader.texts("flags", refused=_EVALUATION_OWN)
    return EvaluationPlan(name.choice(tuple(FOLDERS)), flags)


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads the fields of a JSON object; errors name the file and the field.

    Attributes:
      source: what errors call the file.
      place: the name of this value in the file, such as "rows[2].pretraining".
      fields: the value: an object, or anything else where that is an error.
    """

    source: str
    place: str
    fields: Any

    def error(self, name: str, problem: str) -> UserError:
        """Returns the error about the field `name`, or about this value if it is ""."""
        place = ".".join(filter(None, (self.place, name))) or "the file"
        return UserError(f"{self.source}: {place}: {problem}")

    def allow(self, names: Sequence[str]) -> None:
        """Refuses anything but an object with fields of these names."""
        if not isinstance(self.fields, dict):
            raise self.error("", f"expected an object, found {self.fields!r}")
        for name in self.fields:
            if name not in names:
                raise self.error(name, f"unknown; expected {', '.join(names)}")

    def choice(self, choices: Sequence[str]) -> str:
        """Returns this value, which must be one of the choices."""
        if self.fields not in choices:
            raise self.error(
                "", f"expected one of {', '.join(choices)}; found {self.fields!r}"
            )
        return str(self.fields)

    def text(self, name: str, default: str | None = None) -> str:
        """Returns a text that is not empty; None as the default: it is required."""
        value = self.fields.get(name, default)
        if value is None or (value == "" and default is None):
            raise self.error(name, "is missing; expected a text")
        if not isinstance(value, str):
            raise self.error(name, f"expected a text, found {value!r}")
        return value

    def flag(self, name: str) -> bool:
        """Returns true or false; false if absent."""
        value = self.fields.get(name, False)
        if not isinstance(value, bool):
            raise self.error(name, f"expected true or false, found {value!r}")
        return value

    def number(self, name: str, default: float) -> float:
        """Returns a number, 0 or above."""
        value = self.fields.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise self.error(name, f"expected a number, 0 or above; found {value!r}")
        return float(value)

    def numbers(
        self, name: str, *, least: int, default: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Returns distinct whole numbers, at least one."""
        values = self.fields.get(name, list(default))
        valid = isinstance(values, (list, tuple)) and all(
            type(value) is int and value >= least for value in values
        )
        if not valid or not values or len(set(values)) < len(values):
            raise self.error(
                name,
                f"expected a list of different whole numbers from {least} on, found "
                f"{values!r}",
            )
        return tuple(values)

    def texts(
        self, name: str, allowed: Sequence[str] = (), refused: Sequence[str] = ()
    ) -> dict[str, str]:
        """Returns an object of texts; numbers, true and false become texts.

        Args:
          name: of the field.
          allowed: the only keys, if any are given.
          refused: flags that a study sets itself.
        """
        values = self.fields.get(name, {})
        if not isinstance(values, dict):
            raise self.error(name, f"expected an object, found {values!r}")
        result = {}
        for key, value in values.items():
            if allowed and key not in allowed:
                raise self.error(
                    f"{name}.{key}", f"unknown; expected {', '.join(allowed)}"
                )
            if key in refused:
                raise self.error(
                    f"{name}.{key}", "the study sets this flag itself; remove it"
                )
            if isinstance(value, bool):
                value = str(value).lower()
            if not isinstance(value, (str, int, float)):
                raise self.error(
                    f"{name}.{key}", f"expected a text or a number, found {value!r}"
                )
            result[key] = str(value)
        return result

    def optional(self, name: str) -> _Reader | None:
        """Returns a reader of an object, or None for null or an absent field."""
        value = self.fields.get(name)
        if value is None:
            return None
        return _Reader(self.source, ".".join(filter(None, (self.place, name))), value)

    def items(self, name: str, read: Callable[[_Reader], T]) -> tuple[T, ...]:
        """Reads each item of a list that is not empty."""
        values = self.fields.get(name)
        if not isinstance(values, (list, tuple)) or not values:
            raise self.error(
                name, f"expected a list that is not empty, found {values!r}"
            )
        place = ".".join(filter(None, (self.place, name)))
        return tuple(
            read(_Reader(self.source, f"{place}[{index}]", value))
            for index, value in enumerate(values)
        )
