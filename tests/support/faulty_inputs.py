"""A build whose inputs cause every kind of trouble; also a script, for tests to kill.

python faulty_inputs.py OUTPUT SECONDS_PER_INPUT
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Callable

from data_prep.build import worker_pool, writer
from selfsup.common.errors import UserError
from selfsup.data import manifest

if TYPE_CHECKING:
    import collections
    import pathlib

KEYS = tuple(f"photo {index:02d}.jpg" for index in range(40))
REFUSED, RAISES, EMPTY, KILLS = KEYS[3], KEYS[7], KEYS[11], KEYS[5]
HANGS = KEYS[13]
REPAIRED = KEYS[20]
UNUSABLE = {REFUSED, RAISES, EMPTY, KILLS, HANGS}
RECORDS_EACH = 2


class Convert:
    """Makes two records per key, of different lengths, after `seconds`.

    If `lethal`, an input kills its process and another hangs; otherwise these two give
    no record, which saves time.
    """

    def __init__(self, seconds: float = 0.0, lethal: bool = False) -> None:
        self.seconds = seconds
        self.lethal = lethal

    def __call__(self, item: writer.Input) -> writer.Converted | list[bytes]:
        key = item.key
        time.sleep(self.seconds)
        if key == REFUSED:
            raise writer.SetAside("is\tnot to\nmy taste", {"refused": 1})
        if key == RAISES:
            raise ZeroDivisionError("by it")
        if key == KILLS and self.lethal:
            os.kill(os.getpid(), signal.SIGSEGV)
        if key == HANGS and self.lethal:
            signal.pause()
        if key in (EMPTY, KILLS, HANGS):
            return []
        records = [f"{key}/{index}".encode() * 50 for index in range(RECORDS_EACH)]
        if key == REPAIRED:
            return writer.Converted(records, "was\nbroken", {"mended": 2})
        return writer.Converted(records, counts={"whole": 1})


def short_record(item: writer.Input) -> list[bytes]:
    """Makes a record of a few bytes."""
    return [item.key.encode()]


def kill_own_process(item: writer.Input) -> None:
    """Kills the worker process."""
    os.kill(os.getpid(), signal.SIGKILL)


class Picky:
    """Sets aside all inputs but that called "good"."""

    def __call__(self, item: writer.Input) -> list[bytes]:
        if item.key != "good":
            raise writer.SetAside("no \a")
        return [b"record"]


class ReadInputs:
    """Reads the files of a folder, which is moved away after `left` of them.

    Attributes:
      folder: path of the folder.
      left: number of files to read before it is moved.
      target: path that it is moved to.
    """

    def __init__(
        self, folder: str | pathlib.Path, left: int, target: str | pathlib.Path
    ) -> None:
        self.folder, self.left, self.target = folder, left, target

    def __call__(self, item: writer.Input) -> list[bytes]:
        if not self.left:
            os.rename(self.folder, self.target)
        self.left -= 1
        with open(os.path.join(self.folder, item.key), "rb") as file:
            return [file.read()]


def run_in_process(
    work: Callable[[Any], Generator[Any, None, Any]],
    jobs: collections.deque[Any],
    workers: int,
    limit: float | None = None,
    kept_workers: list[Any] | None = None,
) -> Iterator[worker_pool.StepReport[Any, Any] | worker_pool.JobResult[Any, Any]]:
    """Replaces `worker_pool.run`, whose workers take seconds to load TensorFlow."""
    while jobs:
        job = jobs.popleft()
        steps = work(job)
        while True:
            try:
                yield worker_pool.StepReport(job, next(steps))
            except StopIteration as stop:
                yield worker_pool.JobResult(job, stop.value)
                break


def checksums(output: pathlib.Path) -> dict[str, str]:
    """SHA-256 of each shard in a folder, by file name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.glob("*.tfrecord")
    }


def build(
    output: str | pathlib.Path, seconds: float = 0.0, **changes: Any
) -> manifest.Manifest:
    """Builds a set of the faulty inputs.

    Args:
      output: folder of the set.
      seconds: duration of each conversion.
      **changes: arguments of `writer.build` in place of the defaults.
    """
    arguments: dict[str, Any] = {
        "output": str(output),
        "kind": manifest.PHOTOS,
        "features": ("image",),
        # Neither order nor repetition of the inputs matters.
        "inputs": [*reversed(KEYS), KEYS[0]],
        "convert": Convert(seconds),
        "options": {"size": (3, 4), "quality": 95},
        "num_shards": 5,
        "validation_fraction": 0.1,
        "workers": 1,
    }
    return writer.build(**{**arguments, **changes})


if __name__ == "__main__":
    try:
        build(sys.argv[1], float(sys.argv[2]))
    except UserError as error:
        sys.exit(f"error: {error}")
