"""Reads what a pretraining run has left in its folder, for the report."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from launch.studies.results import COMMITS, Provenance
from selfsup import tasks
from selfsup.common import config_file, history, provenance
from selfsup.common.errors import UserError
from selfsup.common.history import Row
from selfsup.data import manifest, pipeline, records
from selfsup.pretraining import reporter, training_data
from selfsup.pretraining.pretrained_trunk import checkpoint_store
from selfsup.pretraining.training_data import SetDescription
from selfsup.tasks.task import Metric

TRACE = "trace.json"
LOST_DEVICES = "lost_devices.log"
# A line of the log of lost devices that begins a new text, with the name of the group.
_LOST = re.compile(r"^\d{4}-\d\d-\d\d \S+ [^:\n]*: (?!left undone)", re.MULTILINE)

# The features of data sets by kind, for runs that have not recorded them.
_FEATURES = {
    manifest.PHOTOS: (records.IMAGE, records.LABEL),
    manifest.VIDEO_FRAMES: (records.IMAGE, records.MOTION_MASK),
    manifest.OBJECTS: (records.IMAGE, records.BOXES),
    manifest.RGBD: (records.IMAGE, records.DEPTH),
}


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What a pretraining run has left in its folder, finished or not.

    Attributes:
      folder: folder of the run.
      config: its configuration, see `RunConfig`, as JSON types.
      data: the data sets that it read.
      rows: its history, oldest row first.
      held_out: by task, the scalars of the last validation.
      is_finished: whether the run has taken all its steps.
      counts: by task, the numbers of "steps", "examples", "skipped" steps and
        "stand_ins" (replaced records) at the last checkpoint.
      cost: reading of the cost clock at the last checkpoint.
      starts: how the run was started and resumed; empty for runs of earlier versions.
      parts: by task, the seconds of each part of each recorded step, see
        `timeline.KINDS`; empty without a trace.
      lost_devices: how many times a device was lost.
    """

    folder: str
    config: Mapping[str, Any]
    data: tuple[SetDescription, ...]
    rows: tuple[Row, ...]
    held_out: Mapping[str, Mapping[str, float]]
    is_finished: bool
    counts: Mapping[str, Mapping[str, int]]
    cost: float
    starts: tuple[provenance.Start, ...]
    parts: Mapping[str, Mapping[str, tuple[float, ...]]]
    lost_devices: int

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the configuration."""
        return tuple(self.config["tasks"])

    def headline(self, task: str) -> Metric:
        """Returns the headline metric of a task."""
        return tasks.task_class(task).metric_specs[0]

    def rows_of(self, task: str, split: str, key: str | None = None) -> list[Row]:
        """Returns the rows of a task and a split, oldest first.

        Args:
          task: name of the task.
          split: "train", "validation", "health" or "stopped".
          key: name of a scalar that the rows must have; None for all rows.
        """
        return [
            row
            for row in self.rows
            if row["task"] == task
            and row["split"] == split
            and (key is None or key in row)
        ]

    def training_mean(self, task: str, key: str, count: int = 3) -> float | None:
        """Returns the mean of a scalar over the last training rows; None without rows."""
        values = [row[key] for row in self.rows_of(task, "train", key)[-count:]]
        return sum(values) / len(values) if values else None

    def held_out_records(self, task: str) -> int:
        """Returns the number of held-out records in the sets that a task reads."""
        sets = [
            manifest.Manifest(
                each["kind"],
                tuple(each.get("features", _FEATURES[each["kind"]])),
                (),
                directory=each["directory"],
            )
            for each in self.data
        ]
        chosen = pipeline.select_sets(tasks.task_class(task).features, sets)
        folders = {each.directory for each in chosen}
        return sum(
            each["records"]["validation"]
            for each in self.data
            if each["directory"] in folders
        )

    @property
    def seconds(self) -> float:
        """Seconds that the run trained, over all its interruptions."""
        return sum(row["seconds"] for row in self.rows if row["split"] == "run")

    def provenance(self) -> Provenance:
        """Returns where the numbers of the run come from."""
        first = self.starts[0] if self.starts else None
        return Provenance(
            command=first["command"] if first else "not recorded",
            folder=self.folder,
            commit=COMMITS.join(
                dict.fromkeys(
                    start["commit"] for start in self.starts if start["commit"]
                )
            ),
            data={each["directory"]: _checksum(each) for each in self.data},
            seconds=self.seconds,
            started=first["started"] if first else "",
            versions=first["versions"] if first else {},
            facts={"seed": str(self.config["seed"]), "cost": f"{self.cost:.4g}"},
        )


def read(folder: str) -> RunRecord:
    """Reads the folder of a pretraining run, which may still be training.

    Raises:
      UserError: the folder holds no run.
    """
    config = config_file.read(folder)
    if "tasks" not in config or "trunk" not in config:
        raise UserError(
            f"{folder}: holds no pretraining run: its {config_file.FILE_NAME} has no "
            "tasks and no trunk. Give the model_dir of launch.pretrain"
        )
    rows = tuple(history.read(folder))
    measured = _read_json(folder, reporter.VALIDATION_FILE)
    state = _last_state(folder)
    return RunRecord(
        folder=folder,
        config=config,
        data=tuple(_read_json(folder, training_data.FILE_NAME) or ()),
        rows=rows,
        held_out=measured["held_out"] if measured else _last_validations(rows),
        is_finished=measured is not None,
        counts=state.get("groups", {}),
        cost=float(state.get("cost", 0.0)),
        starts=tuple(provenance.read_starts(folder)),
        parts=_parts(_read_json(folder, TRACE)),
        lost_devices=_count_lost_devices(folder),
    )


# Any: each file has a schema of its own.
def _read_json(folder: str, name: str) -> Any:
    """Returns the content of a file of the run; None if it does not exist."""
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}). Restore the file, or delete it "
            "to make the report without it"
        ) from error


def _last_state(folder: str) -> Mapping[str, Any]:
    store = checkpoint_store(folder)
    latest = store.latest()
    return store.read_state(latest) if latest else {}


def _last_validations(rows: tuple[Row, ...]) -> dict[str, dict[str, float]]:
    """Returns the scalars of the last validation row of each task."""
    texts = ("task", "split")
    return {
        row["task"]: {key: value for key, value in row.items() if key not in texts}
        for row in rows
        if row["split"] == "validation"
    }


# Any: a trace as JSON types.
def _parts(trace: Any) -> dict[str, dict[str, tuple[float, ...]]]:
    """Returns the seconds of each part of each step by task, of a Chrome trace."""
    if trace is None:
        return {}
    events = trace["traceEvents"]
    names = {
        event["pid"]: event["args"]["name"]
        for event in events
        if event["name"] == "process_name"
    }
    parts: dict[str, dict[str, tuple[float, ...]]] = {}
    for event in events:
        if event["ph"] == "X":
            by_kind = parts.setdefault(names[event["pid"]], {})
            before = by_kind.get(event["name"], ())
            by_kind[event["name"]] = (*before, event["dur"] / 1e6)
    return parts


def _count_lost_devices(folder: str) -> int:
    path = os.path.join(folder, LOST_DEVICES)
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8", errors="replace") as file:
        return len(_LOST.findall(file.read()))


def _checksum(described: SetDescription) -> str:
    digests = "".join(sorted(described["shards"].values()))
    return hashlib.sha256(digests.encode()).hexdigest()
