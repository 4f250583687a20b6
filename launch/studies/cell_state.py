"""The state of cells on disk: who runs a cell, how it ended, and where it came from.

Each cell has a folder DIR/cells/IDENTITY with `lock`, `state.json` and `log.txt`. The lock
is a `flock` on an open file that the command of the cell inherits. So it is held as long
as the command runs, also if the process that started the command is killed.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
import time
from collections.abc import Mapping
from typing import IO, Literal

from launch.studies.cell import Cell
from launch.studies.results import CellState
from selfsup.common import files
from selfsup.common.errors import UserError, error_reason

FOLDER = "cells"
LOG = "log.txt"
_STATE = "state.json"
_LOCK = "lock"
# Another process may hold the lock for a moment, only to see whether it is free.
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.05
_BUSY = (errno.EACCES, errno.EAGAIN)


@dataclasses.dataclass(frozen=True)
class Record:
    """What `state.json` says about a cell.

    Attributes:
      outcome: how the command last ended; "started" if nobody has seen its end.
      reason: why it failed, in a line; "" otherwise.
      fingerprint: of the cell.
      command: the command line.
      commit: see `results.Provenance`, and the fields below.
      data: checksum of the content of each data set that it reads, by folder.
      seconds: seconds that it ran.
      started: time of the first start.
      ended: seconds since 1970 at the last change of this record.
      versions: versions of packages.
    """

    outcome: Literal["started", "done", "failed", "stopped"]
    fingerprint: str
    command: str
    reason: str = ""
    commit: str = ""
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    started: str = ""
    ended: float = 0.0
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CellFolder:
    """The state of a cell in the folder of a study.

    Attributes:
      output: folder of the study.
      cell: the cell.
    """

    output: str
    cell: Cell

    @property
    def path(self) -> str:
        """The folder of the state."""
        return os.path.join(self.output, FOLDER, self.cell.identity)

    @property
    def log(self) -> str:
        """The file with the output of the command."""
        return os.path.join(self.path, LOG)

    def has_finished(self) -> bool:
        """Whether all files of a finished command exist."""
        return all(
            os.path.exists(os.path.join(self.output, path))
            for path in self.cell.finished
        )

    def read(self) -> Record | None:
        """Returns the record, or None if the cell has never been started.

        Raises:
          UserError: the file is damaged.
        """
        path = os.path.join(self.path, _STATE)
        try:
            with open(path, encoding="utf-8") as file:
                return Record(**json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"{path}: not the state of a cell: {error_reason(error)}; remove the file"
            ) from error

    def write(self, record: Record) -> None:
        """Replaces the record."""
        record = dataclasses.replace(record, ended=time.time())
        text = json.dumps(dataclasses.asdict(record), indent=1)
        files.write_atomically(os.path.join(self.path, _STATE), text)

    def take(self) -> IO[bytes] | None:
        """Returns the locked file of the cell, or None if another process holds it.

        The lock is held until all processes that have inherited the file have ended.

        Raises:
          UserError: the file system has no locks, or the folder cannot be written.
        """
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            os.makedirs(self.path, exist_ok=True)
            lock = self._open_lock("ab")
            if lock and _try_lock(lock, fcntl.LOCK_EX):
                return lock
            if lock:
                lock.close()
        return None

    def is_taken(self) -> bool:
        """Whether a process runs the cell now, on any machine."""
        lock = self._open_lock("rb")
        if lock is None:
            return False
        with lock:
            # Shared, so that two processes that look do not see each other, and that a
            # report can be made of a folder that only others may write.
            return not _try_lock(lock, fcntl.LOCK_SH)

    def state(self) -> tuple[CellState, str]:
        """Returns the state of the cell, and why it failed or "".

        A cell whose record says "done" but whose files are missing waits to run again.
        """
        if self.is_taken():
            return "running", ""
        record = self.read()
        if record is None:
            return "waiting", ""
        if record.outcome == "failed":
            return "failed", record.reason
        if record.outcome == "done" and self.has_finished():
            return "done", ""
        return "waiting", ""

    def _open_lock(self, mode: Literal["ab", "rb"]) -> IO[bytes] | None:
        path = os.path.join(self.path, _LOCK)
        try:
            # On NFS an exclusive lock needs a file that is open for writing.
            return open(path, mode)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(
                f"{path}: cannot be opened: {error_reason(error)}"
            ) from error


def _try_lock(lock: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise UserError(
            f"{lock.name}: this file system has no file locks: {error_reason(error)}. "
            "Give an output folder on another one, or mount it with locks (docs/studies.md)"
        ) from error
    return True
