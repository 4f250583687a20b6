"""The sharded, atomic, resumable writer that every builder goes through.

A build is a plan (which input goes to which shard, fixed by the sorted list of inputs
alone) and the shards done so far. Killing it at any moment leaves finished shards,
each with a sidecar below `.build`, and the same call makes the missing ones; the
manifest, written last, makes the folder a data set.
"""

import collections
import contextlib
import hashlib
import os
import re
import sys

from data_prep import build_plan, worker_pool
from data_prep.progress import Progress
from data_prep.shards import (
    STATE_FOLDER,
    Failed,
    SetAside,
    ShardWriter,
    Source,
    finished,
)
from selfsup import versions
from selfsup.data import files
from selfsup.data import manifest as manifests
from selfsup.errors import UserError

__all__ = ["SetAside", "build", "file_state"]

SET_ASIDE_FILE = "set_aside.tsv"
# An input that ends its worker process this often is at fault itself.
_STRIKES = 2
_KEPT = "finished shards are kept: run the same command again to go on"
_TEMPORARY = re.compile(r"\.(tfrecord|json|tsv)\.\d+\.tmp$")
_UNITS = {manifests.PHOTOS: "photos", manifests.VIDEO_FRAMES: "videos"}
_VERSIONS_OF = ("tensorflow", "numpy", "Pillow", "opencv-python-headless")


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
    validation_fraction=0.05,
    workers=0,
    directory="",
    time_limit=None,
):
    """Builds a data set, or what an earlier, interrupted call has left to do.

    Args:
      output: folder, made if missing.
      kind, features, labels, options: as in `manifest.Manifest`.
      inputs: str keys, as a rule paths relative to `directory`; each once.
      convert: picklable callable, key -> list of serialized records. It runs in
        worker processes. It raises `SetAside(reason)` for an unusable input; any
        other exception sets the input aside too, and so does a crash of the process.
      num_shards: training shards; 0 chooses by the number of inputs.
      validation_fraction: share of the inputs held out; of two inputs or more, a
        fraction above 0 holds out at least one.
      workers: processes; 0 takes one for each CPU.
      directory: the input folder; "" for inputs that are no files. The build ends,
        to be resumed, when it vanishes, and is only resumed while its files are the
        same (see `file_state`).
      time_limit: seconds after which an input is set aside; None for no limit.

    Returns:
      the `Manifest`.

    Raises:
      UserError: nothing is usable, the output cannot be written, is in use by
        another builder or holds a build of something else; the input folder is
        gone; or Ctrl-C.
    """
    keys = sorted(set(inputs))
    if not keys:
        raise UserError(f"{output}: nothing to build: no input was found")
    jobs = build_plan.plan_shards(output, keys, num_shards, validation_fraction)
    shape = {"kind": kind, "features": features, "options": options, "labels": labels}
    plan = _plan(shape, directory, keys, len(jobs), validation_fraction)
    work = ShardWriter(convert, Source.of(directory) if directory else None)
    try:
        with build_plan.locked(output):
            build_plan.adopt(output, plan)
            results = _run_jobs(jobs, work, workers, time_limit, _UNITS[kind])
            return _conclude(output, plan, jobs, results)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error}; {_KEPT}") from error


def _plan(shape, directory, keys, shards, validation_fraction):
    """All that a build must have in common with the one it resumes."""
    inputs = {
        "count": len(keys),
        "names": build_plan.digest(keys),
        "state": file_state(directory, keys) if directory else "",
    }
    division = {"shards": shards, "validation_fraction": validation_fraction}
    return build_plan.as_stored({**shape, **division, "inputs": inputs})


def file_state(directory, keys):
    """Fingerprint of input files by size and time of change.

    Args:
      directory: the input folder.
      keys: paths relative to it.

    Returns:
      hexadecimal str that changes when a file was replaced.
    """
    digest = hashlib.sha256()
    for key in sorted(keys):
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(directory, key))
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _run_jobs(jobs, work, workers, time_limit, unit):
    """Writes the shards that are missing; returns {file: ShardResult} of all."""
    results = {job.file: finished(job) for job in jobs}
    missing = [job for job in jobs if results[job.file] is None]
    total = sum(len(job.keys) for job in jobs)
    done = total - sum(len(job.keys) for job in missing)
    if done:
        print(f"resuming: {done} of {total} inputs are done already", file=sys.stderr)
    if not missing:
        return results
    orders = collections.deque((job, {}) for job in missing)
    tracker = _Tracker(orders, done)
    _remove_temporaries(jobs[0].directory)
    try:
        events = worker_pool.run(work, orders, workers or _cpus(), time_limit)
        with contextlib.closing(events), Progress(unit, total, done) as progress:
            for event in events:
                result = tracker.see(event)
                if result is not None:
                    results[result.file] = result
                progress.update(tracker.done)
    except KeyboardInterrupt:
        raise UserError(f"interrupted; {_KEPT}") from None
    finally:
        _remove_temporaries(jobs[0].directory)
    return results


class _Tracker:
    """Follows the events of the workers, deals with inputs that kill or keep them.

    Attributes:
      done: inputs that are done.
    """

    def __init__(self, orders, done):
        self._orders = orders
        self._before = done
        self._current = {}
        self._converted = collections.Counter()
        self._strikes = collections.Counter()

    @property
    def done(self):
        return self._before + sum(self._converted.values())

    def see(self, event):
        """Returns the shard's result when the event is a shard's end, else None."""
        if event.job is None:
            return None  # A worker that died with nothing to do is not missed.
        job, lethal = event.job
        if isinstance(event, worker_pool.Step):
            self._converted[job.file] += event.value is None
            self._current[job.file] = event.value
        elif isinstance(event, worker_pool.Died):
            self._blame(job, lethal, event.exitcode)
        elif isinstance(event, worker_pool.Overran):
            reason = f"took over {event.seconds:g} s"
            self._put_back(job, lethal, f"worker {reason}", reason)
        elif isinstance(event.value, Failed):
            raise UserError(f"{event.value.reason}; {_KEPT}")
        else:
            self._converted[job.file] = len(job.keys)
            return event.value
        return None

    def _blame(self, job, lethal, exitcode):
        """Puts the shard back; sets an input aside that killed its worker twice."""
        how = worker_pool.describe_exit(exitcode)
        key = self._current.get(job.file)
        culprit = job.file if key is None else key
        self._strikes[culprit] += 1
        out = self._strikes[culprit] >= _STRIKES
        if out and key is None:
            raise UserError(f"worker processes end while at no input: {how}; {_KEPT}")
        reason = f"crashes the decoder: process {how}" if out else ""
        self._put_back(job, lethal, f"worker {how}", reason)

    def _put_back(self, job, lethal, event, reason):
        """Orders the shard anew, without the input it was at if `reason` says why."""
        key = self._current.pop(job.file, None)
        self._converted[job.file] = 0
        if reason:
            lethal = {**lethal, key: reason}
        where = "" if key is None else f" at {key!r}"
        then = "it is set aside" if reason else "trying again"
        print(f"{job.file}: {event}{where}; {then}", file=sys.stderr)
        self._orders.append((job, lethal))


def _remove_temporaries(output):
    """Deletes what killed workers left half-written."""
    for folder in (output, os.path.join(output, STATE_FOLDER)):
        for name in os.listdir(folder):
            if _TEMPORARY.search(name):
                os.remove(os.path.join(folder, name))


def _conclude(output, plan, jobs, results):
    """Reports what was set aside, then writes the manifest."""
    results = [results[job.file] for job in jobs]
    set_aside = sorted(pair for result in results for pair in result.set_aside)
    lines = [f"{_one_line(key)}\t{_one_line(reason)}\n" for key, reason in set_aside]
    files.write_atomically(os.path.join(output, SET_ASIDE_FILE), "".join(lines))
    found = plan["inputs"]["count"]
    manifest = manifests.Manifest(
        kind=plan["kind"],
        features=tuple(plan["features"]),
        labels=tuple(plan["labels"]),
        shards=tuple(
            manifests.Shard(r.file, r.split, r.records, r.bytes, r.sha256)
            for r in results
        ),
        inputs={
            "found": found,
            "used": found - len(set_aside),
            "set_aside": len(set_aside),
        },
        options=plan["options"],
        versions=versions.of(_VERSIONS_OF),
        directory=output,
    )
    _check_usable(manifest, set_aside)
    manifests.write(manifest, output)
    _report(manifest, output)
    return manifest


def _check_usable(manifest, set_aside):
    if manifest.records("train"):
        return
    examples = "; ".join(f"{key}: {reason}" for key, reason in set_aside[:3])
    raise UserError(
        f"nothing usable among {manifest.inputs['found']} inputs ({examples}); "
        f"{os.path.join(manifest.directory, SET_ASIDE_FILE)} lists all"
    )


def _report(manifest, output):
    counts = manifest.inputs
    print(
        f"{output}: {manifest.records('train')} training and "
        f"{manifest.records('validation')} held-out records from {counts['used']} of "
        f"{counts['found']} inputs",
        file=sys.stderr,
    )
    if counts["set_aside"]:
        path = os.path.join(output, SET_ASIDE_FILE)
        print(f"{counts['set_aside']} set aside: see {path}", file=sys.stderr)


def _one_line(text):
    """`text` without what would break a line of tab-separated values."""
    return text.translate({9: "\\t", 10: "\\n", 13: "\\r"})


def _cpus():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
