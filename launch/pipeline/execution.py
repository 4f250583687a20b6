"""Runs the stages of a pipeline that are not done yet, and says how long they take."""

from __future__ import annotations

import os
import sys
import time

from launch.pipeline import commands, plan, state
from launch.pipeline.plan import Settings, Stage
from launch.pipeline.state import State
from selfsup.common import durations, files, history
from selfsup.common.errors import UserError, error_reason

_LOCK = ".lock"
HOW_TO_USE = """\
import tensorflow_hub as hub
trunk = hub.KerasLayer({trunk}, trainable=True)
features = trunk(images)  # [B, H, W, 3] in [0, 1] -> [B, h, w, C]"""


def run(settings: Settings, reason: str) -> None:
    """Runs a pipeline from where it is; the results say at the end where they are.

    Args:
      settings: what the pipeline is to do.
      reason: why its preset was chosen.

    Raises:
      UserError: the folder holds results of something else, another process works in it,
        it cannot be written, or a command failed.
      SystemExit: a signal stopped a command; the pipeline can be resumed.
    """
    busy = f"{settings.output}: another process works there"
    try:
        os.makedirs(settings.output, exist_ok=True)
        with files.locked(settings.path(_LOCK), busy):
            _run_stages(settings, state.begin(settings, reason))
    except OSError as error:
        raise UserError(
            f"{error.filename or settings.output}: {error_reason(error)}. Mend this and "
            "run the same command again"
        ) from error


def _run_stages(settings: Settings, current: State) -> None:
    stages = plan.stages(settings)
    for number, stage in enumerate(stages, start=1):
        heading = f"[{number}/{len(stages)}] {stage.title}"
        if is_done(stage, current):
            print(f"\n{heading}: done", flush=True)
            continue
        print(f"\n{heading}", flush=True)
        left = time_left(settings, stages[number - 1 :], current)
        if left:
            print(left, flush=True)
        _run_stage(settings, stage, current)


def results(settings: Settings) -> str:
    """Says where the results are and how to use the trunk."""
    trunk = os.path.abspath(settings.path("trunk"))
    page = os.path.abspath(settings.path("report", "report.html"))
    use = HOW_TO_USE.format(trunk=repr(trunk))
    return f"The pretrained trunk, a SavedModel: {trunk}\n\n{use}\n\nThe report: {page}"


def is_done(stage: Stage, current: State) -> bool:
    """Whether a stage has finished and its result still exists."""
    return stage.name in current["seconds"] and os.path.exists(stage.result)


def _run_stage(settings: Settings, stage: Stage, current: State) -> None:
    if os.path.exists(stage.result) and stage.name == plan.REPORT:
        os.remove(stage.result)
    start = time.monotonic()
    try:
        status = commands.start(stage.command)
    except commands.Stopped:
        print("stopped; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
    if status or not os.path.exists(stage.result):
        what = f"ended with status {status}" if status else "was stopped"
        raise UserError(
            f"the command to {stage.title} {what}; its message is above. Run the same "
            "command again to resume at this stage"
        )
    current["seconds"][stage.name] = round(time.monotonic() - start, 1)
    state.save(settings.output, current)


def time_left(settings: Settings, stages: tuple[Stage, ...], current: State) -> str:
    """Says how long the remaining stages take, as far as it is known.

    The pretraining is estimated from the duration of its first steps, and the evaluation
    of a trunk from that of the trunk before it.

    Args:
      settings: what the pipeline does.
      stages: the remaining stages, the next one first.
      current: what has been done.

    Returns:
      a line; "" if the time of no stage is known yet.
    """
    known = {stage.name: estimate(settings, stage, current) for stage in stages}
    unknown = sum(seconds is None for seconds in known.values())
    total = sum(seconds for seconds in known.values() if seconds is not None)
    if unknown == len(stages):
        return ""
    stages_left = ""
    if unknown:
        noun = "stage" if unknown == 1 else "stages"
        stages_left = f", and {unknown} {noun} whose time is not known yet"
    return f"time left: about {durations.text(total)}{stages_left}"


def estimate(settings: Settings, stage: Stage, current: State) -> float | None:
    """Returns how many seconds a stage will take; None if that is not known."""
    if stage.name == plan.PRETRAIN:
        return pretraining_seconds(settings, current)
    same = [
        seconds
        for name, seconds in current["seconds"].items()
        if "/" in stage.name and name.split("/")[0] == stage.name.split("/")[0]
    ]
    return same[-1] if same else None


def pretraining_seconds(settings: Settings, current: State) -> float | None:
    """Estimates the rest of the pretraining from the durations of its last steps.

    The rest of the time of the first steps' stage counts too: it is spent on starting,
    tracing and validating.

    Args:
      settings: what the pipeline does.
      current: what has been done.

    Returns:
      seconds; None before every task has taken steps.
    """
    rows = {
        row["task"]: row
        for row in history.read(settings.path("run"))
        if "step_seconds" in row
    }
    if set(rows) != set(settings.tasks):
        return None
    combine = sum if settings.takes_turns else max
    left = combine(
        max(0, settings.steps - row["step"]) * row["step_seconds"]
        for row in rows.values()
    )
    first = combine(plan.SPEED_STEPS * row["step_seconds"] for row in rows.values())
    overhead = max(0.0, current["seconds"].get(plan.SPEED, 0.0) - first)
    return float(left + overhead)
