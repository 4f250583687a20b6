"""The sharded, atomic, resumable writer that every builder goes through.

A build is a plan (which input goes to which shard, fixed by the sorted list of inputs
alone) and the shards done so far. Killing it at any moment leaves finished shards,
each with a sidecar below `.build`, and the same call makes the missing ones; the
manifest, written last, makes the folder a data set.
"""

import collections
import contextlib
import os
import re
import sqlite3
import sys

from data_prep.build import beam_runner, build_plan, local_runner
from data_prep.build.inputs import Input
from data_prep.build.shards import (
    STATE_FOLDER,
    Converted,
    InputStorage,
    SetAside,
    ShardWriter,
    read_result,
)
from selfsup.common import files, versions
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar
from selfsup.data import manifest as manifests

__all__ = ["Converted", "Input", "SetAside", "build"]

LOCAL = "local"
BEAM = "beam"
SET_ASIDE_FILE = "set_aside.tsv"
REPAIRED_FILE = "repaired.tsv"
_ADVICE = " (--validation_fraction=0 holds nothing out; give another --output with it)"
_KEPT = "finished shards are kept: run the same command again to go on"
_TEMPORARY = re.compile(r"\.(tfrecord|json|tsv|sqlite)\.[0-9a-f]{32}\.tmp(-journal)?$")
_UNITS = {manifests.VIDEO_FRAMES: "videos"}
_VERSIONS_OF = (
    *("tensorflow", "numpy", "Pillow", "pillow-heif", "opencv-python-headless"),
)


def build(
    *,
    output,
    kind,
    features,
    inputs,
    convert,
    options,
    labels=(),
    num_shards=0,
    inputs_per_shard=1024,
    validation_fraction=0.05,
    workers=0,
    directory="",
    containers=(),
    time_limit=None,
    runner=LOCAL,
    beam_options="",
):
    """Builds a data set, or what an earlier, interrupted call has left to do.

    Args:
      output: folder, made if missing.
      kind, features, labels, options: as in `manifest.Manifest`.
      inputs: iterable of `Input`s, or of str keys; it is gone through once and never
        held in memory.
      convert: picklable callable, `Input` -> list of serialized records, or a
        `Converted`. It runs in worker processes. It raises `SetAside(reason)` for an
        unusable input; any other exception sets the input aside too, and so does a
        crash of the process.
      num_shards: training shards; 0 chooses by the number of inputs.
      inputs_per_shard: what it chooses for large sets.
      validation_fraction: share held out of inputs that name no split; of two inputs
        or more, a fraction above 0 holds out at least one.
      workers: processes; 0 takes one for each CPU.
      directory: the folder that keys are paths in; "" where they are none. The build
        ends, to be resumed, when it vanishes, and is only resumed while its files have
        the same sizes and times of change.
      containers: files that hold the inputs, such as archives; the same goes for them.
        Folders among them are only watched.
      time_limit: seconds after which an input is set aside; None for no limit.
      runner: "local" (processes here) or "beam"; both give the same shards.
      beam_options: for Apache Beam, as on a command line.

    Returns:
      the `Manifest`.

    Raises:
      UserError: nothing is usable, the output cannot be written, is in use by
        another builder or holds a build of something else; the inputs are gone; or
        Ctrl-C.
    """
    output = os.path.abspath(output)
    division = build_plan.Division(num_shards, inputs_per_shard, validation_fraction)
    shape = {"kind": kind, "features": features, "options": options, "labels": labels}
    places = [*([directory] if directory else []), *containers]
    source = InputStorage.from_paths(places)
    try:
        with build_plan.locked(output):
            begun = build_plan.check_claim(output)
            _remove_temporaries(output)
            plan = {}

            def adopt(listing):
                plan.update(_plan(shape, listing, validation_fraction))
                build_plan.adopt(output, begun, plan)

            listing = build_plan.list_inputs(
                output, inputs, division, directory, containers, adopt
            )
            work = ShardWriter(convert, build_plan.inputs_of, source)
            run = _runner(runner, workers, time_limit, beam_options)
            _write_missing(listing.jobs, run, work, _UNITS.get(kind, "photos"))
            return _conclude(output, plan, listing)
    except KeyboardInterrupt:
        raise UserError(f"interrupted; {_KEPT}") from None
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{output}: cannot be written: {error}; {_KEPT}") from error


def _plan(shape, listing, validation_fraction):
    """All that a build must have in common with the one it resumes."""
    inputs = {
        "count": listing.count,
        "names": listing.names,
        "state": listing.state,
    }
    division = {
        "shards": len(listing.jobs),
        "validation_fraction": validation_fraction,
    }
    return build_plan.as_stored({**shape, **division, "inputs": inputs})


def _runner(name, workers, time_limit, beam_options):
    """A callable: jobs, work, update -> None."""
    if beam_options and name != BEAM:
        raise UserError(f"--beam_options={beam_options!r} goes with --runner={BEAM}")

    def run(jobs, work, update):
        if name == BEAM:
            beam_runner.run(jobs, work, workers, time_limit, update, beam_options)
        else:
            local_runner.run(jobs, work, workers, time_limit, update)

    return run


def _write_missing(jobs, run, work, unit):
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
        raise UserError(f"{error}; {_KEPT}") from error
    finally:
        _remove_temporaries(jobs[0].directory)


def _remove_temporaries(output):
    """Deletes what killed workers left half-written."""
    for folder in (output, os.path.join(output, STATE_FOLDER)):
        for name in os.listdir(folder):
            if _TEMPORARY.search(name):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(folder, name))


def _conclude(output, plan, listing):
    """Reports what was set aside and repaired, then writes the manifest."""
    shards, counts = [], collections.Counter()
    set_aside, repaired = _Listing(), _Listing()
    for job in listing.jobs:
        result = read_result(job)
        shards.append(
            manifests.Shard(
                result.file, result.split, result.records, result.bytes, result.sha256
            )
        )
        set_aside.add(result.set_aside)
        repaired.add(result.repaired)
        counts.update(result.counts)
    set_aside.write(os.path.join(output, SET_ASIDE_FILE))
    repaired.write(os.path.join(output, REPAIRED_FILE))
    found = plan["inputs"]["count"]
    manifest = manifests.Manifest(
        kind=plan["kind"],
        features=tuple(plan["features"]),
        labels=tuple(plan["labels"]),
        shards=tuple(shards),
        inputs={
            "found": found,
            "used": found - set_aside.count,
            "set_aside": set_aside.count,
            "repaired": repaired.count,
            "counts": dict(sorted(counts.items())),
        },
        options=plan["options"],
        versions=versions.installed(_VERSIONS_OF),
        directory=output,
    )
    _check_usable(manifest, set_aside, listing.is_drawn)
    manifests.write(manifest, output)
    _report(manifest, output)
    return manifest


class _Listing:
    """Inputs with a text each, sorted on disk: they may be many."""

    def __init__(self):
        self.count = 0
        # The empty name is a database in a temporary file.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE lines (key TEXT, line TEXT)")

    def add(self, pairs):
        """Adds ((key, text), ...)."""
        rows = [(files.printable(key), files.printable(text)) for key, text in pairs]
        self._database.executemany("INSERT INTO lines VALUES (?, ?)", rows)
        self.count += len(rows)

    def lines(self, limit=-1):
        """Yields (key, text) in order; both are one line of printable text."""
        yield from self._database.execute(
            "SELECT key, line FROM lines ORDER BY key LIMIT ?", (limit,)
        )

    def write(self, path):
        """Writes the file of tab-separated lines, atomically."""
        temporary = files.temporary_name(path)
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{key}\t{text}\n" for key, text in self.lines())
        files.publish(temporary, path)


def _check_usable(manifest, set_aside, is_drawn):
    # Where the set has a training split at all: it may be a test set.
    needed = manifest.split("train") or manifest.shards
    if sum(shard.records for shard in needed):
        return
    examples = "; ".join(f"{key}: {reason}" for key, reason in set_aside.lines(3))
    unusable = (
        f"({examples}); {os.path.join(manifest.directory, SET_ASIDE_FILE)} lists all"
    )
    found, used = manifest.inputs["found"], manifest.inputs["used"]
    if not used:
        raise UserError(f"nothing usable among {found} inputs {unusable}")
    raise UserError(
        f"nothing to train on: {used} of {found} inputs can be used, but not for "
        f"training, as they are held out{_ADVICE * is_drawn}; the others cannot be used "
        f"{unusable}"
    )


def _report(manifest, output):
    counts = manifest.inputs
    splits = dict.fromkeys(shard.split for shard in manifest.shards)
    records = ", ".join(f"{manifest.records(split)} {split}" for split in splits)
    print(
        f"{output}: {records} records from {counts['used']} of {counts['found']} inputs",
        file=sys.stderr,
    )
    for split in splits:
        if not manifest.records(split):
            print(
                f"{split}: no records, as all inputs drawn or given for it were set "
                "aside",
                file=sys.stderr,
            )
    for what, number in counts["counts"].items():
        print(f"{what}: {number}", file=sys.stderr)
    for what, name in (("set_aside", SET_ASIDE_FILE), ("repaired", REPAIRED_FILE)):
        if counts[what]:
            words = what.replace("_", " ")
            path = os.path.join(output, name)
            print(f"{counts[what]} {words}: see {path}", file=sys.stderr)
