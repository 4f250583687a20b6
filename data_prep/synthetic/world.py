"""Makes a whole world in worker processes; the folder appears when all of it is there."""

import collections
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil

from data_prep.build import worker_pool
from data_prep.synthetic import (
    imagenet_layout,
    nyu_layout,
    videos_layout,
    voc_layout,
)
from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar

FILE_NAME = "world.json"
FORMAT, VERSION = "selfsup-synthetic-world", 1
_LOCK = ".lock"
# Each has folders(options), jobs(options), make(folder, options, job) and
# finish(folder, options); a job comes with the number of pictures that it makes.
_LAYOUTS = {
    "videos": videos_layout,
    "nyu": nyu_layout,
    "VOCdevkit": voc_layout,
    "imagenet": imagenet_layout,
}


def generate(output, options, workers=0):
    """Renders a world in all layouts.

    Args:
      output: folder to make; an empty one may be there.
      options: `options.Options`.
      workers: processes; 0 takes one for each CPU. It does not shape the result.

    Returns:
      False when this world was there already.

    Raises:
      UserError: `output` holds something else or cannot be written.
    """
    # A link's folder is what the finished one takes the place of, not the link.
    output = os.path.realpath(output)
    if _is_there(output, options):
        return False
    parent, name = os.path.split(output)
    unfinished = os.path.join(parent, f".{name}.unfinished")
    try:
        os.makedirs(unfinished, exist_ok=True)
        busy = f"--output={output}: another process is making it"
        with files.locked(os.path.join(unfinished, _LOCK), busy):
            # Another process may have made it since.
            if _is_there(output, options):
                shutil.rmtree(unfinished, ignore_errors=True)
                return False
            _make(unfinished, output, options, workers)
        files.sync(parent)
    except OSError as error:
        raise UserError(f"--output={output}: cannot be written: {error}") from error
    return True


def _make(unfinished, output, options, workers):
    _clear(unfinished)
    try:
        _fill(unfinished, options, workers)
        # With the lock, so that no one else ever finds the folder free.
        os.rename(unfinished, output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        os.remove(os.path.join(output, _LOCK))


def _is_there(output, options):
    """Whether this very world is there; raises if something else is."""
    if not os.path.lexists(output):
        return False
    if not os.path.isdir(output):
        raise UserError(f"--output={output}: is no folder")
    if not os.listdir(output):
        return False
    found = None
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(pathlib.Path(output, FILE_NAME).read_text("utf-8"))
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"--output={output}: is not empty; expected a new folder")
    if found != json.loads(_description(options)):
        raise UserError(
            f"--output={output}: holds a world of other options, "
            f"{found.get('options')}; expected {dataclasses.asdict(options)}"
        )
    return True


def _clear(folder):
    """Empties the folder that a killed run left, but for our lock."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif name != _LOCK:
            os.remove(path)


def _fill(folder, options, workers):
    jobs, total, done = collections.deque(), 0, 0
    for name, layout in _LAYOUTS.items():
        for part in layout.folders(options):
            os.makedirs(os.path.join(folder, part), exist_ok=True)
        for job, pictures in layout.jobs(options):
            jobs.append((name, job, pictures))
            total += pictures
    work = functools.partial(_work, folder, options)
    events = worker_pool.run(work, jobs, workers or worker_pool.available_cpus())
    with contextlib.closing(events), ProgressBar("pictures", total) as progress:
        for event in events:
            if isinstance(event, worker_pool.WorkerDeath):
                how = worker_pool.describe_exit(event.exitcode)
                raise UserError(f"a worker process {how} at {event.job}")
            if isinstance(event, worker_pool.JobResult):
                if event.value is not None:
                    raise UserError(f"{event.job}: {event.value}")
                done += event.job[-1]
                progress.update(done)
    for layout in _LAYOUTS.values():
        layout.finish(folder, options)
    files.write_atomically(os.path.join(folder, FILE_NAME), _description(options))


def _work(folder, options, job):
    """One job in a worker process; returns what went wrong, as text, or None."""
    import cv2

    name, which, _ = job
    yield from ()
    # The processes are the parallelism.
    cv2.setNumThreads(1)
    try:
        _LAYOUTS[name].make(folder, options, which)
    except OSError as error:
        return str(error)
    return None


def _description(options):
    classes = [
        {"name": kind.name, "folder": kind.folder, "moves": kind.moves}
        for kind in options.kinds
    ]
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "options": dataclasses.asdict(options),
        "classes": classes,
    }
    return json.dumps(fields, indent=1) + "\n"
