"""Generates a whole world in worker processes, into a folder that appears at the end."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
from collections.abc import Generator

from data_prep.build import worker_pool
from data_prep.synthetic.imagenet_layout import ImagenetLayout
from data_prep.synthetic.layout import Job, Layout
from data_prep.synthetic.nyu_layout import NyuLayout
from data_prep.synthetic.options import Options
from data_prep.synthetic.videos_layout import VideosLayout
from data_prep.synthetic.voc_layout import VocLayout
from selfsup.common import files, processor
from selfsup.common.errors import UserError
from selfsup.common.progress import ProgressBar

_FILE_NAME = "world.json"
_FORMAT, _VERSION = "selfsup-synthetic-world", 1
_LOCK = ".lock"
_LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (VideosLayout(), NyuLayout(), VocLayout(), ImagenetLayout())
}


def generate(output: str, options: Options, workers: int = 0) -> bool:
    """Renders a world in all layouts.

    Args:
      output: folder to create; an empty folder may exist there.
      options: what the world contains.
      workers: number of processes; 0 starts one for each CPU. It does not change the
        result.

    Returns:
      False if the same world existed already, and nothing was done.

    Raises:
      UserError: `output` contains something else or cannot be written, or a worker
        failed.
    """
    # If `output` is a link, the new folder replaces the folder that it points to.
    output = os.path.realpath(output)
    if _exists(output, options):
        return False
    parent, name = os.path.split(output)
    unfinished = os.path.join(parent, f".{name}.unfinished")
    try:
        os.makedirs(unfinished, exist_ok=True)
        busy = f"{output}: another process is generating it"
        with files.locked(os.path.join(unfinished, _LOCK), busy):
            # Another process may have generated it before the lock was taken.
            if _exists(output, options):
                shutil.rmtree(unfinished, ignore_errors=True)
                return False
            _generate(unfinished, output, options, workers)
        files.sync(parent)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error}") from error
    return True


def _generate(unfinished: str, output: str, options: Options, workers: int) -> None:
    """Fills the folder `unfinished` and renames it to `output`; removes it on failure."""
    _clear(unfinished)
    try:
        _fill(unfinished, options, workers)
        # The lock moves along, so that no other process ever sees the folder unlocked.
        os.rename(unfinished, output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        os.remove(os.path.join(output, _LOCK))


def _exists(output: str, options: Options) -> bool:
    """Tells whether this very world exists; raises UserError if something else does."""
    if not os.path.lexists(output):
        return False
    if not os.path.isdir(output):
        raise UserError(f"{output}: is not a folder")
    if not os.listdir(output):
        return False
    description = None
    with contextlib.suppress(OSError, ValueError):
        text = pathlib.Path(output, _FILE_NAME).read_text("utf-8")
        description = json.loads(text)
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise UserError(f"{output}: is not empty; expected a new or empty folder")
    if description != json.loads(_description(options)):
        raise UserError(
            f"{output}: contains a world with other options, "
            f"{description.get('options')}; expected {dataclasses.asdict(options)}"
        )
    return True


def _clear(folder: str) -> None:
    """Removes what a killed run left in the folder, except the lock."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif name != _LOCK:
            os.remove(path)


def _fill(folder: str, options: Options, workers: int) -> None:
    """Writes the files of all layouts."""
    jobs: collections.deque[Job] = collections.deque()
    for layout in _LAYOUTS.values():
        for name in layout.folders(options):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        jobs.extend(layout.jobs(options))
    total, done = sum(job.images for job in jobs), 0
    work = functools.partial(_work, folder, options)
    events = worker_pool.run(work, jobs, workers or processor.cores())
    with contextlib.closing(events), ProgressBar("pictures", total) as progress:
        for event in events:
            if isinstance(event, worker_pool.WorkerDeath):
                how = worker_pool.describe_exit(event.exitcode)
                raise UserError(f"a worker process {how} in the job {event.job}")
            if isinstance(event, worker_pool.JobResult):
                if event.value is not None:
                    raise UserError(f"the job {event.job} failed: {event.value}")
                done += event.job.images
                progress.update(done)
    for layout in _LAYOUTS.values():
        layout.finish(folder, options)
    files.write_atomically(os.path.join(folder, _FILE_NAME), _description(options))


def _work(folder: str, options: Options, job: Job) -> Generator[None, None, str | None]:
    """Does a job in a worker process; returns None, or what went wrong as text."""
    import cv2

    # A generator without steps, as `worker_pool.run` expects.
    yield from ()
    # Only the processes run in parallel.
    cv2.setNumThreads(1)
    try:
        _LAYOUTS[job.layout].make(folder, options, job.key)
    except OSError as error:
        return str(error)
    return None


def _description(options: Options) -> str:
    """The content of world.json."""
    classes = [
        {"name": kind.name, "folder": kind.folder, "moves": kind.moves}
        for kind in options.kinds
    ]
    fields = {
        "format": _FORMAT,
        "version": _VERSION,
        "options": dataclasses.asdict(options),
        "classes": classes,
    }
    return json.dumps(fields, indent=1) + "\n"
