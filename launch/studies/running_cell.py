"""The command of a cell as a running process."""

from __future__ import annotations

import dataclasses
import datetime
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import IO, Literal

from launch.studies import study_data
from launch.studies.cell_state import CellFolder, Record
from launch.studies.results import COMMITS
from selfsup.common import provenance

_LOG_TAIL_BYTES = 4000


class RunningCell:
    """Runs the command of a cell, whose lock this process holds, and records its end.

    Attributes:
      folder: state of the cell.
      environment: the environment variables that were given.
    """

    def __init__(
        self, folder: CellFolder, lock: IO[bytes], environment: Mapping[str, str]
    ) -> None:
        """Starts the command.

        Args:
          folder: state of the cell.
          lock: from `CellFolder.take`; closed at the end.
          environment: environment variables in addition to those of this process.
        """
        self.folder = folder
        self.environment = environment
        self._lock = lock
        self._start = time.monotonic()
        self._signalled = False
        self._record = _new_record(folder)
        folder.write(self._record)
        target = os.path.join(folder.output, folder.cell.folder)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(folder.log, "ab") as log:
            log.write(f"\n$ {folder.cell.command}\n".encode(errors="backslashreplace"))
            log.flush()
            self._process = subprocess.Popen(
                folder.cell.process_arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                # The lock outlives this process if only this process is killed.
                pass_fds=(lock.fileno(),),
                # Ctrl-C reaches this process, which passes it on once.
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the command, if it still runs."""
        if self._process.poll() is None:
            self._signalled = True
            self._process.send_signal(number)

    def poll(self) -> Record | None:
        """Returns None while the command runs, then its record, and frees the cell."""
        status = self._process.poll()
        if status is None:
            return None
        seconds = self._record.seconds + time.monotonic() - self._start
        record = dataclasses.replace(self._record, seconds=seconds)
        if self.folder.has_finished() and status == 0:
            record = dataclasses.replace(record, outcome="done")
        elif self._signalled or status == 0:
            record = dataclasses.replace(record, outcome="stopped", reason="stopped")
        else:
            outcome: Literal["failed", "stopped"] = (
                "failed" if status > 0 else "stopped"
            )
            reason = f"{_how(status)}: {_last_line(self.folder.log)}"
            record = dataclasses.replace(record, outcome=outcome, reason=reason)
        self.folder.write(record)
        self._lock.close()
        return record


def record_finished(folder: CellFolder) -> Record:
    """Records that a cell is done whose end nobody has seen; call it with its lock."""
    before = folder.read()
    if before is None:
        record = _new_record(folder)
    else:
        paths = [os.path.join(folder.output, path) for path in folder.cell.finished]
        end = max(map(os.path.getmtime, paths))
        record = dataclasses.replace(
            before, seconds=before.seconds + max(0.0, end - before.ended)
        )
    record = dataclasses.replace(record, outcome="done", reason="")
    folder.write(record)
    return record


def last_lines(path: str, count: int) -> list[str]:
    """Returns the last lines of a log that are not empty, without progress displays."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            text = file.read().decode(errors="backslashreplace")
    except OSError:
        return []
    # A progress display returns to the start of its line.
    lines = [line.rsplit("\r", 1)[-1].strip() for line in text.split("\n")]
    return [line for line in lines if line][-count:]


def _how(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    return f"ended by {signal.Signals(-status).name}"


def _last_line(path: str) -> str:
    return next(iter(last_lines(path, 1)), "its log is empty")


def _new_record(folder: CellFolder) -> Record:
    cell = folder.cell
    before = folder.read()
    if before and before.outcome == "done":
        # Its files have been removed, so the command begins again.
        before = None
    # Of the files that the command will import, not of those that the study has.
    commits = [before.commit if before else "", provenance.source_commit()]
    known = [each for text in commits for each in text.split(COMMITS) if each]
    return Record(
        outcome="started",
        fingerprint=cell.fingerprint,
        command=cell.command,
        commit=COMMITS.join(dict.fromkeys(known)),
        data=study_data.contents(cell.reads),
        seconds=before.seconds if before else 0.0,
        started=before.started if before else _now(),
        versions=provenance.package_versions(),
    )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
