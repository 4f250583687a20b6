"""What a pipeline has done so far, as a file in the folder of its results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TypedDict, cast

from launch.pipeline.inputs import Input
from launch.pipeline.plan import PRETRAIN, Settings, stages
from selfsup.common import files
from selfsup.common.errors import SettingError, UserError, error_reason

FILE_NAME = "pipeline.json"
# What a pipeline writes; a folder that has one of these but no state is of other origin.
_FOLDERS = ("data", "labelled", "run", "trunk", "evaluations", "report")

Description = Mapping[str, object]


class State(TypedDict):
    """The content of the file.

    Attributes:
      inputs: by name, see `Input.description`; None for an input that is not given.
      settings: what determines the results, by name, as JSON types.
      reason: why the preset was chosen.
      commands: the command line of each stage by its name, in order.
      seconds: duration of each finished stage by its name.
    """

    inputs: dict[str, dict[str, str | int] | None]
    settings: dict[str, object]
    reason: str
    commands: dict[str, str]
    seconds: dict[str, float]


def begin(settings: Settings, reason: str) -> State:
    """Returns the state of a pipeline that starts or resumes, and stores it.

    Args:
      settings: what the pipeline is to do.
      reason: why the preset was chosen.

    Raises:
      UserError: the folder holds results of other inputs or settings, or other files.
    """
    state: State = {
        "inputs": {
            name: None if each is None else each.description()
            for name, each in _inputs(settings).items()
        },
        "settings": _settings(settings),
        "reason": reason,
        "commands": {each.name: each.command.text() for each in stages(settings)},
        "seconds": {},
    }
    stored = read(settings.output)
    if stored is None:
        _refuse_other_files(settings.output)
    else:
        _refuse_differences(settings.output, stored, state)
        state["seconds"] = stored["seconds"]
        state["reason"] = stored["reason"]
    try:
        os.makedirs(settings.output, exist_ok=True)
        save(settings.output, state)
    except OSError as error:
        raise SettingError(
            f"output={settings.output}", f"cannot be written: {error_reason(error)}"
        ) from error
    return state


def read(output: str) -> State | None:
    """Returns the stored state; None if the folder has none.

    Raises:
      UserError: the file cannot be read.
    """
    path = os.path.join(output, FILE_NAME)
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return cast(State, json.load(file))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read: {error_reason(error)}. Give another output folder"
        ) from error


def save(output: str, state: State) -> None:
    """Stores the state.

    Raises:
      OSError: the file cannot be written.
    """
    path = os.path.join(output, FILE_NAME)
    files.write_atomically(path, json.dumps(state, indent=1))


def _inputs(settings: Settings) -> dict[str, Input | None]:
    return {
        "photos": settings.photos,
        "videos": settings.videos,
        "labelled": settings.labelled,
    }


def _settings(settings: Settings) -> dict[str, object]:
    values = {
        "preset": settings.preset,
        "steps": settings.steps,
        "measures_speed": settings.measures_speed,
        "held_out_share": settings.held_out_share,
        "pretraining": settings.pretraining,
        "evaluations": settings.evaluations,
    }
    # JSON turns tuples into lists, so it makes them comparable with stored ones.
    return cast("dict[str, object]", json.loads(json.dumps(values)))


def _refuse_other_files(output: str) -> None:
    present = [name for name in _FOLDERS if os.path.exists(os.path.join(output, name))]
    if present:
        raise SettingError(
            f"output={output}",
            f"already holds {', '.join(present)}, but no {FILE_NAME}, so something else "
            "wrote them. Give another folder, or delete this folder",
        )


def _refuse_differences(output: str, stored: State, now: State) -> None:
    differences = []
    for name, described in now["inputs"].items():
        before = stored["inputs"].get(name)
        if before != described:
            differences.append(_changed_input(name, before, described))
    for name, value in now["settings"].items():
        # Whoever sees how long the steps take may want another number of them.
        if name == "steps" and PRETRAIN not in stored["seconds"]:
            continue
        if stored["settings"].get(name) != value:
            differences.append(
                f"{name} was {stored['settings'].get(name)!r}, now {value!r}"
            )
    if differences:
        raise SettingError(
            f"output={output}",
            f"holds results of other inputs or settings: {'; '.join(differences)}. Give "
            "another folder, or the same inputs and settings to resume",
        )


def _changed_input(
    name: str,
    before: Mapping[str, str | int] | None,
    now: Mapping[str, str | int] | None,
) -> str:
    if before is None or now is None:
        was = "was not given" if before is None else f"was {before['path']}"
        return f"{name} {was}, now {'not given' if now is None else now['path']}"
    if before["path"] != now["path"]:
        return f"{name} was {before['path']}, now {now['path']}"
    return (
        f"the files in {now['path']} have changed: {before['files']} then, "
        f"{now['files']} now, with other names or sizes"
    )
