"""Builds a data set: sharded, atomic, resumable. Every builder uses it.

A build has a plan and the shards that are finished. The plan says which input goes to
which shard; it follows from the sorted list of inputs only. A build that is killed leaves
finished shards, each with a sidecar below `.build`, and the same call makes the missing
shards. The manifest is written last: it makes the folder a data set.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from data_prep.build import (
    beam_runner,
    build_plan,
    build_summary,
    input_database,
    local_runner,
)
from data_prep.build.build_plan import DatasetDescription, Option
from data_prep.build.build_summary import REPAIRED_FILE, SET_ASIDE_FILE
from data_prep.build.input_database import DivisionOptions, ShardAssignment
from data_prep.build.input_storage import InputStorage
from data_prep.build.inputs import Input
from data_prep.build.shards import (
    STATE_FOLDER,
    Converted,
    Converter,
    SetAside,
    ShardJob,
    ShardWriter,
    read_result,
)
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import manifest as manifests

__all__ = [
    "BEAM",
    "LOCAL",
    "REPAIRED_FILE",
    "SET_ASIDE_FILE",
    "Converted",
    "Input",
    "SetAside",
    "build",
]

LOCAL = "local"
BEAM = "beam"
_RESUME_ADVICE = "finished shards are kept: run the same command again to resume"
_TEMPORARY = re.compile(r"\.(tfrecord|json|tsv|sqlite)\.[0-9a-f]{32}\.tmp(-journal)?$")
_UNITS = {manifests.VIDEO_FRAMES: "videos"}

# Writes shards; calls its last argument with the number of inputs that are done.
_Runner = Callable[[Sequence[ShardJob], ShardWriter, Callable[[int], None]], None]


def build(
    *,
    output: str,
    kind: str,
    features: Sequence[str],
    inputs: Iterable[Input | str],
    convert: Converter,
    options: Mapping[str, Option],
    labels: Sequence[str] = (),
    num_shards: int = 0,
    inputs_per_shard: int = 1024,
    validation_fraction: float = 0.05,
    workers: int = 0,
    directory: str = "",
    containers: Sequence[str] = (),
    time_limit: float | None = None,
    runner: str = LOCAL,
    beam_options: str = "",
) -> manifests.Manifest:
    """Builds a data set, or resumes an interrupted build.

    Args:
      output: folder, made if missing.
      kind, features, labels, options: as in `manifest.Manifest`.
      inputs: the inputs or their keys; iterated over once, never held in memory.
      convert: makes records from an input. An input for which it raises an exception
        (`SetAside` with a reason, or any other) or crashes the process is set aside.
      num_shards: number of training shards; 0 chooses it by the number of inputs.
      inputs_per_shard: number of inputs of a shard in large sets, if it is chosen.
      validation_fraction: share that is held out of inputs that name no split; above 0,
        at least one of two or more inputs.
      workers: number of processes; 0 starts one for each CPU.
      directory: folder that keys are paths in, or "". A build is interrupted when it
        vanishes, and is not resumed if the input files' sizes or times changed.
      containers: files that hold the inputs, such as archives, watched in the same way.
        Folders among them may not vanish, but may change.
      time_limit: seconds after which an input is set aside; None for no limit.
      runner: `LOCAL` (processes of this machine) or `BEAM`; both make the same shards.
      beam_options: Apache Beam's options, as on a command line.

    Raises:
      UserError: nothing is usable; the output cannot be written, is in use by another
        builder or holds another build; the inputs vanished; or Ctrl-C.
    """
    output = os.path.abspath(output)
    description = DatasetDescription(kind, tuple(features), options, tuple(labels))
    division = DivisionOptions(num_shards, inputs_per_shard, validation_fraction)
    storage = InputStorage.from_paths([*filter(None, [directory]), *containers])
    run = _choose_runner(runner, workers, time_limit, beam_options)
    with _advise_to_resume(output), build_plan.lock_output(output):
        plan, assignment = _prepare(
            output, description, inputs, division, directory, containers
        )
        work = ShardWriter(convert, input_database.read_inputs, storage)
        _write_missing(assignment.jobs, run, work, _UNITS.get(kind, "photos"))
        return build_summary.finish(output, plan, assignment)


@contextlib.contextmanager
def _advise_to_resume(output: str) -> Iterator[None]:
    """Turns Ctrl-C and errors of the disk into `UserError`s that say how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(f"interrupted; {_RESUME_ADVICE}") from None
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"{output}: cannot be written: {error}; {_RESUME_ADVICE}"
        ) from error


def _prepare(
    output: str,
    description: DatasetDescription,
    inputs: Iterable[Input | str],
    division: DivisionOptions,
    directory: str,
    containers: Sequence[str],
) -> tuple[build_plan.Plan, ShardAssignment]:
    """Assigns the inputs to shards; stores the plan, or compares it with a stored plan."""
    begun = build_plan.read_plan(output)
    _remove_temporaries(output)

    def make_plan(assignment: ShardAssignment) -> build_plan.Plan:
        fraction = division.validation_fraction
        return build_plan.make_plan(description, assignment, fraction)

    def check(assignment: ShardAssignment) -> None:
        build_plan.store_or_compare(output, begun, make_plan(assignment))

    assignment = input_database.assign_inputs(
        output, inputs, division, directory, containers, check
    )
    return make_plan(assignment), assignment


def _choose_runner(
    name: str, workers: int, time_limit: float | None, beam_options: str
) -> _Runner:
    if name == BEAM:
        return functools.partial(
            beam_runner.run,
            workers=workers,
            time_limit=time_limit,
            options=beam_options,
        )
    if beam_options:
        raise UserError(f"beam_options={beam_options!r}: needs the runner {BEAM!r}")
    return functools.partial(local_runner.run, workers=workers, time_limit=time_limit)


def _write_missing(
    jobs: Sequence[ShardJob], run: _Runner, work: ShardWriter, unit: str
) -> None:
    """Writes the shards that no earlier call has finished."""
    missing = [job for job in jobs if read_result(job) is None]
    total = sum(job.count for job in jobs)
    done = total - sum(job.count for job in missing)
    if done:
        print(f"resuming: {done} of {total} inputs are done already", file=sys.stderr)
    if not missing:
        return
    try:
        with ProgressBar(unit, total, done) as progress:
            run(missing, work, lambda more: progress.update(done + more))
    except UserError as error:
        raise UserError(f"{error}; {_RESUME_ADVICE}") from error
    finally:
        _remove_temporaries(jobs[0].directory)


def _remove_temporaries(output: str) -> None:
    """Deletes the unfinished files of killed workers."""
    for folder in (output, os.path.join(output, STATE_FOLDER)):
        for name in os.listdir(folder):
            if _TEMPORARY.search(name):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(folder, name))
