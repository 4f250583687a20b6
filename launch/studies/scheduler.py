"""Runs the cells of a study that are missing, several at once."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from launch.studies import running_cell
from launch.studies.cell import Cell
from launch.studies.cell_state import CellFolder, Record
from launch.studies.running_cell import RunningCell
from launch.studies.time_left import Durations
from selfsup.common import durations
from selfsup.common.errors import UserError, error_reason
from selfsup.common.stop_signals import StopSignals

_POLL_SECONDS = 0.2
# How often to look whether a cell that another process runs has finished.
_ELSEWHERE_SECONDS = 5.0
# How long a cell that others have to run may stay failed before it counts as failed: a
# cluster that was given all cells again may not have started it yet.
_PATIENCE_SECONDS = 600.0
# A command that a signal ended, such as the system's when memory is short, is started
# again: it resumes from its checkpoint.
_STARTS = 3


@dataclasses.dataclass
class _Progress:
    """What is known of the cells, by name.

    Attributes:
      done: finished cells.
      failed: why cells have failed since this process started.
      starts: how often this process has started a cell.
      elsewhere: when a cell was last seen to be run by another process.
      asked: when the state of a cell that others need was last read.
    """

    done: set[str]
    failed: dict[str, str]
    starts: dict[str, int]
    elsewhere: dict[str, float]
    asked: dict[str, float]


class Scheduler:
    """Runs cells; each as soon as the cells that it needs are done.

    Several schedulers, also on several machines, may work on the same cells: each cell is
    taken by one of them.

    Attributes:
      failed: by name, why cells failed.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        output: str,
        environments: Sequence[Mapping[str, str]],
        say: Callable[[str], None] = print,
    ) -> None:
        """
        Args:
          cells: all cells of the study, each after those that it needs.
          output: folder of the study.
          environments: environment variables of each of the cells that run at once.
          say: prints a line.
        """
        self._folders = {each.name: CellFolder(output, each) for each in cells}
        self._free = list(environments)
        self._jobs = len(environments)
        self._say = say
        self._running: dict[str, RunningCell] = {}
        self._began = time.time()
        self._others: set[str] = set()
        self._durations = Durations()
        self._progress = _Progress(set(), {}, {}, {}, {})

    @property
    def failed(self) -> Mapping[str, str]:
        """Why cells failed, by name."""
        return self._progress.failed

    @property
    def done(self) -> set[str]:
        """Names of the cells that are done."""
        return self._progress.done

    def run(self, stop: StopSignals, wanted: Sequence[str] | None = None) -> bool:
        """Runs cells until all are done or have failed, or until a signal arrives.

        Args:
          stop: records signals; the signal is passed on to the running commands, which
            write checkpoints.
          wanted: names of the cells to run; None for all. Cells that these need are
            waited for.

        Returns:
          whether it was not stopped by a signal.

        Raises:
          UserError: if states cannot be written, such as on a full disk. The commands that
            run continue, as when this process is killed.
        """
        names = list(self._folders if wanted is None else wanted)
        self._others = set(self._folders).difference(names)
        try:
            self._read_states()
            while not stop.received:
                self._collect()
                self._start_cells(names)
                if not self._running and not self._waits(names):
                    return True
                time.sleep(_POLL_SECONDS)
            self._stop_commands(signal.Signals[stop.received])
        except KeyboardInterrupt:
            # The second signal: the commands end at once.
            self._stop_commands(signal.SIGTERM)
        except OSError as error:
            raise UserError(
                f"{error.filename or 'the state of a cell'}: cannot be written: "
                f"{error_reason(error)}. Commands that run now continue. Mend this and run "
                "the same command again"
            ) from error
        return False

    def _read_states(self) -> None:
        for name, folder in self._folders.items():
            state, _ = folder.state()
            record = folder.read()
            if state == "done" and record:
                self._finish(name, record)

    def _finish(self, name: str, record: Record) -> None:
        self._progress.done.add(name)
        self._durations.add(self._folders[name].cell, record.seconds)

    def _collect(self) -> None:
        """Takes in the commands that have ended."""
        for name, running in list(self._running.items()):
            record = running.poll()
            if record is None:
                continue
            del self._running[name]
            self._free.append(dict(running.environment))
            if record.outcome == "done":
                self._finish(name, record)
                self._report(f"done    {name} ({durations.text(record.seconds)})")
            elif record.outcome == "failed" or self._progress.starts[name] >= _STARTS:
                self._fail(name, record)
            else:
                self._report(f"again   {name}: {record.reason}")

    def _fail(self, name: str, record: Record) -> None:
        folder = self._folders[name]
        if record.outcome != "failed":
            folder.write(dataclasses.replace(record, outcome="failed"))
        self._progress.failed[name] = record.reason
        self._report(f"FAILED  {name}: {record.reason}")

    def _start_cells(self, names: Sequence[str]) -> None:
        """Starts the first cells that can start, one for each free job."""
        for name in names:
            if not self._free:
                return
            if self._is_ready(name):
                self._start(name)

    def _is_ready(self, name: str) -> bool:
        """Whether a cell has to run, can run, and was not just seen to run elsewhere."""
        known = self._progress
        if name in known.done or name in known.failed or name in self._running:
            return False
        if _is_recent(known.elsewhere.get(name)):
            return False
        return all(self._is_done(each) for each in self._folders[name].cell.needs)

    def _is_done(self, name: str) -> bool:
        """Whether a cell is done, perhaps by another process, which is asked at times."""
        known = self._progress
        if name in known.done or name in self._running or name in known.failed:
            return name in known.done
        if _is_recent(known.asked.get(name)):
            return False
        known.asked[name] = time.monotonic()
        state, _ = self._folders[name].state()
        record = self._folders[name].read()
        if record and state == "done":
            self._finish(name, record)
        elif record and state == "failed":
            waited = time.time() - self._began
            given_up = name in self._others and waited > _PATIENCE_SECONDS
            self._notice_failure(name, record, 0.0 if given_up else self._began)
        return name in known.done

    def _notice_failure(self, name: str, record: Record, since: float) -> bool:
        """Whether a cell has failed elsewhere since a moment; records that."""
        if record.outcome != "failed" or record.ended < since:
            return False
        self._progress.failed[name] = record.reason
        self._report(f"FAILED  {name}: {record.reason}")
        return True

    def _start(self, name: str) -> None:
        folder = self._folders[name]
        lock = folder.take()
        if lock is None:
            if name not in self._progress.elsewhere:
                self._report(f"another process runs {name}")
            self._progress.elsewhere[name] = time.monotonic()
            return
        record = folder.read()
        if folder.has_finished():
            if record is None or record.outcome != "done":
                record = running_cell.record_finished(folder)
            lock.close()
            self._finish(name, record)
            return
        if record and self._notice_failure(name, record, self._began):
            lock.close()
            return
        self._progress.starts[name] = self._progress.starts.get(name, 0) + 1
        self._running[name] = RunningCell(folder, lock, self._free.pop(0))
        self._report(f"started {name}")

    def _waits(self, names: Sequence[str]) -> bool:
        """Whether a cell may still become ready, because another process runs cells."""
        known = self._progress
        for name in names:
            if name in known.done or name in known.failed:
                continue
            if not self._is_blocked(name):
                return True
        return False

    def _is_blocked(self, name: str) -> bool:
        """Whether a cell that this cell needs, directly or not, has failed here."""
        failed = self._progress.failed
        return any(
            each in failed or self._is_blocked(each)
            for each in self._folders[name].cell.needs
        )

    def _stop_commands(self, number: signal.Signals) -> None:
        """Passes a signal on to the commands and waits until they have ended."""
        for running in self._running.values():
            running.signal(number)
        while self._running:
            for name, running in list(self._running.items()):
                record = running.poll()
                if record is not None:
                    del self._running[name]
                    if record.outcome == "done":
                        self._finish(name, record)
            time.sleep(_POLL_SECONDS)

    def _report(self, text: str) -> None:
        total = len(self._folders)
        done = len(self._progress.done)
        left = self._durations.left(
            [
                each.cell
                for name, each in self._folders.items()
                if name not in self._progress.done and name not in self._progress.failed
            ],
            self._jobs,
        )
        running = len(self._running)
        state = f"{running} running" + (f", {left}" if left else "")
        self._say(f"[{done}/{total}] {text}; {state}")


def _is_recent(moment: float | None) -> bool:
    return moment is not None and time.monotonic() - moment < _ELSEWHERE_SECONDS
