"""Folders of pretraining runs as a run would leave them, from a few numbers."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from launch.reports import run_folder
from launch.reports.run_folder import RunRecord
from selfsup.common import history
from selfsup.pretraining import configuration

TASKS = ("relative_position", "exemplar")


def config(tasks: tuple[str, ...] = TASKS) -> dict[str, Any]:
    """The configuration of a run of the preset tiny, as JSON types."""
    resolved = configuration.resolve("tiny", list(tasks))
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(resolved)))
    return content


def row(task: str, split: str, step: int, **values: float) -> history.Row:
    """A row of the history; "__" in a name stands for "/"."""
    named = {name.replace("__", "/"): value for name, value in values.items()}
    return {"task": task, "split": split, "step": step, "total_steps": step, **named}


def healthy_rows() -> list[history.Row]:
    """Rows of both `TASKS`, which learn and have no trouble."""
    rows = []
    for step, accuracy, satisfied in ((10, 0.18, 0.55), (20, 0.4, 0.7)):
        loss, triplet = 2.1 - accuracy, 0.6 - satisfied / 2
        for split in ("train", "validation"):
            rows += [
                row(
                    "relative_position", split, step, loss=loss, accuracy=accuracy,
                    chance__accuracy=1 / 6, step_seconds=0.5,
                ),
                row(
                    "exemplar", split, step, loss=triplet, satisfied=satisfied,
                    chance__satisfied=0.5, triplet_loss=triplet,
                    chance__triplet_loss=0.5, mean_distance=0.9, step_seconds=0.25,
                ),
            ]  # fmt: skip
    for task in TASKS:
        values = {
            "dead_units/trunk/conv1": 0.0,
            "dead_units/head/conv1": 0.1,
            "dead_units/trunk": 0.0,
            "dead_units/head": 0.1,
            "update_ratio/trunk": 0.001,
            "update_ratio/head": 0.002,
        }
        rows.append(row(task, "health", 20, **values))
    pauses = {"pause_seconds": 0.1, "seconds": 20.0, "pause_share": 0.005}
    rows.append(row("all", "run", 40, **pauses))
    return rows


def record(rows: list[history.Row], **changes: Any) -> RunRecord:
    """A finished run of `TASKS` with a history; `changes` are fields of `RunRecord`."""
    counts = {"steps": 20, "examples": 640, "skipped": 0, "stand_ins": 0}
    made = RunRecord(
        folder="run",
        config=config(),
        data=(
            {
                "directory": "data/photos",
                "kind": "photos",
                "records": {"train": 1000, "validation": 128},
                "shards": {"train-0": "ab"},
            },
        ),
        rows=tuple(rows),
        held_out={each["task"]: each for each in rows if each["split"] == "validation"},
        is_finished=True,
        counts={task: dict(counts) for task in TASKS},
        cost=0.001,
        starts=(),
        parts={},
        lost_devices=0,
    )
    return dataclasses.replace(made, **changes)


def write(folder: pathlib.Path, rows: list[history.Row]) -> None:
    """Writes the folder of a run that has finished."""
    made = record(rows)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(made.config))
    (folder / "data.json").write_text(json.dumps(made.data))
    (folder / history.FILE_NAME).write_text(
        "".join(json.dumps(each) + "\n" for each in rows)
    )
    checkpoint = folder / "checkpoints" / "checkpoint-000000040"
    checkpoint.mkdir(parents=True)
    state = {"groups": made.counts, "total_steps": 40, "cost": made.cost}
    (checkpoint / "state.json").write_text(json.dumps(state))
    held_out = {"checkpoint": checkpoint.name, "held_out": made.held_out}
    (folder / "validation.json").write_text(json.dumps(held_out))


def lost_devices(folder: pathlib.Path, text: str) -> int:
    """The number of lost devices that the report reads from a log."""
    (folder / run_folder.LOST_DEVICES).write_text(text)
    return run_folder.read(str(folder)).lost_devices
