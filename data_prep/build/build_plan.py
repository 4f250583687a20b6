"""The plan of a build: all that it must have in common with the build that it resumes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union

from data_prep.build.input_database import ShardAssignment
from data_prep.build.shards import STATE_FOLDER
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data import manifest as manifests

_PLAN_FILE = "build.json"
_LOCK_FILE = "lock"

# What JSON can hold, as a builder gives it (tuples included).
Option = Union[None, bool, int, float, str, Sequence["Option"], Mapping[str, "Option"]]
# A plan as it is read back from JSON.
Plan = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class DatasetDescription:
    """What a build makes.

    Attributes:
      kind, features, options, labels: as in `manifest.Manifest`.
    """

    kind: str
    features: tuple[str, ...]
    options: Mapping[str, Option]
    labels: tuple[str, ...]


@contextlib.contextmanager
def lock_output(output: str) -> Iterator[None]:
    """Holds the lock of the output folder; the system frees it when the process ends.

    Makes the folder if it is missing.

    Raises:
      UserError: another builder holds the lock, or `read_plan` refuses the folder.
    """
    state_folder = os.path.join(output, STATE_FOLDER)
    if os.path.isdir(output) and not os.path.isdir(state_folder):
        read_plan(output)  # Refuses a foreign folder before anything is written there.
    os.makedirs(state_folder, exist_ok=True)
    path = os.path.join(state_folder, _LOCK_FILE)
    with files.locked(path, f"{output}: another builder is writing there"):
        yield


def make_plan(
    description: DatasetDescription,
    assignment: ShardAssignment,
    validation_fraction: float,
) -> Plan:
    """Makes the plan of a build, in the form in which `read_plan` returns it."""
    plan = {
        **dataclasses.asdict(description),
        "shards": len(assignment.jobs),
        "validation_fraction": validation_fraction,
        "inputs": {
            "count": assignment.num_inputs,
            "names": assignment.names_digest,
            "state": assignment.files_digest,
        },
    }
    # JSON turns tuples into lists.
    as_read: Plan = json.loads(json.dumps(plan))
    return as_read


def read_plan(output: str) -> Plan | None:
    """Reads the plan of the build that was begun in a folder; None if there is none.

    Raises:
      UserError: the folder holds a built set or other files, or the plan is damaged.
    """
    path = os.path.join(output, STATE_FOLDER, _PLAN_FILE)
    if os.path.exists(path):
        try:
            with open(path, encoding="utf-8") as file:
                plan: Plan = json.load(file)
                return plan
        except ValueError as error:
            raise UserError(f"{path}: is not the plan of a build: {error}") from error
    if os.path.exists(os.path.join(output, manifests.FILE_NAME)):
        raise UserError(f"{output}: holds a built set already; give another folder")
    foreign = sorted(set(os.listdir(output)) - {STATE_FOLDER})
    if foreign:
        raise UserError(
            f"{output}: holds other files ({foreign[0]}, ...); give an empty folder"
        )
    return None


def store_or_compare(output: str, begun: Plan | None, plan: Plan) -> None:
    """Stores the plan of a new build, or compares it with that of the begun build.

    Raises:
      UserError: the plans differ.
    """
    if begun is None:
        path = os.path.join(output, STATE_FOLDER, _PLAN_FILE)
        files.write_atomically(path, json.dumps(plan, indent=1))
        return
    changes = "; ".join(_changes(begun, plan))
    if changes:
        raise UserError(
            f"{output}: holds a build that was begun differently ({changes}); give "
            "another output folder, or delete this folder to start again"
        )


def _changes(begun: Plan, plan: Plan) -> Iterator[str]:
    """Yields a phrase for each difference between two plans."""
    for name, value in plan.items():
        before: Any = begun.get(name)
        if before == value:
            continue
        if name == "inputs" and before["count"] == value["count"]:
            yield "the input files are others or have changed since"
        elif name == "inputs":
            yield f"{before['count']} input files then, {value['count']} now"
        elif isinstance(value, dict):
            yield from _changes(before, value)
        else:
            yield f"{name}: {before} then, {value} now"
