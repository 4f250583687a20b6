"""Real processes of studies and cells, some of which are killed."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import mock_study
import pytest

from launch.studies import scheduler, study_run
from launch.studies.cell_state import CellFolder, Record
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals

ROOT = pathlib.Path(__file__).resolve().parents[3]
SECONDS = 120


class Folder:
    """The folder of a study of mock cells, and the processes that work on it."""

    def __init__(self, path):
        self.path = path
        self.processes = []

    def declare(self, *cells):
        (self.path / "grid.json").write_text(json.dumps(cells))

    def start(self, jobs=1, *cell):
        arguments = [str(self.path), str(jobs), *map(str, cell)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.mock_study", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, jobs=1, *cell):
        process = self.start(jobs, *cell)
        text, _ = process.communicate(timeout=SECONDS)
        return process.returncode, text

    def wait_for_start(self, name, number=1):
        """Returns the id of the process of the start of this number of a cell."""
        deadline = time.monotonic() + SECONDS
        while len(self.starts(name)) < number:
            assert time.monotonic() < deadline, f"{name} did not start"
            time.sleep(0.02)
        return self.starts(name)[number - 1]

    def starts(self, name):
        path = self.path / "results" / f"{name}.starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def done(self, name):
        return (self.path / "results" / name).exists()

    def gate(self, name):
        """The file that the cell `name` waits for."""
        return str(self.path / f"open-{name}")

    def open(self, name):
        pathlib.Path(self.gate(name)).write_text("")


@pytest.fixture
def folder(tmp_path):
    created = Folder(tmp_path)
    yield created
    for process in created.processes:
        process.kill()
        process.wait()
        process.stdout.close()
    for path in tmp_path.glob("results/*.starts"):
        for line in path.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGKILL)


def test_cells_run_after_those_that_they_need_and_only_once(folder):
    folder.declare(
        {"name": "data"}, {"name": "run", "needs": ["data"]}, {"name": "other"}
    )
    status, text = folder.run()
    assert status == 0
    assert text.index("done    data") < text.index("started run")
    assert "[3/3]" in text
    assert folder.run() == (0, "")
    assert [len(folder.starts(name)) for name in ("data", "run", "other")] == [1, 1, 1]


def test_a_study_continues_past_a_failed_cell_and_says_so_at_the_end(folder):
    bad = {"name": "bad", "status": "3"}
    rest = [{"name": "after", "needs": ["bad"]}, {"name": "other"}]
    folder.declare(bad, *rest)
    status, text = folder.run()
    assert status == 1
    assert folder.done("other") and not folder.done("after")
    end = text[text.index("\nFAILED: bad: exit status 3") :]
    assert "the disk is full" in end and "mock_cell" in end
    assert "1 cell failed, 2 not done" in end
    # The next run tries again.
    folder.declare({"name": "bad"}, *rest)
    assert folder.run()[0] == 0
    assert folder.done("after")


def test_a_killed_cell_is_started_again(folder):
    folder.declare({"name": "run", "until": folder.gate("run")})
    process = folder.start()
    os.kill(folder.wait_for_start("run"), signal.SIGKILL)
    folder.wait_for_start("run", 2)
    folder.open("run")
    text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0 and folder.done("run")
    assert "again   run: ended by SIGKILL" in text


def test_a_cell_that_is_always_killed_fails(folder):
    folder.declare({"name": "run", "until": folder.gate("run")})
    process = folder.start()
    for number in (1, 2, 3):
        os.kill(folder.wait_for_start("run", number), signal.SIGKILL)
    text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1 and len(folder.starts("run")) == 3
    assert "FAILED: run: ended by SIGKILL" in text


def test_a_killed_study_leaves_a_cell_that_the_next_study_waits_for(folder):
    folder.declare(
        {"name": "run", "until": folder.gate("run")},
        {"name": "after", "needs": ["run"]},
    )
    first = folder.start()
    folder.wait_for_start("run")
    first.kill()
    first.wait()
    second = folder.start()
    assert "another process runs run" in second.stdout.readline()
    folder.open("run")
    text, _ = second.communicate(timeout=SECONDS)
    assert second.returncode == 0, text
    assert len(folder.starts("run")) == 1 and folder.done("after")


def test_a_study_and_its_cell_that_are_both_killed_start_again(folder):
    folder.declare({"name": "run", "until": folder.gate("run")})
    first = folder.start()
    pid = folder.wait_for_start("run")
    first.kill()
    first.wait()
    os.kill(pid, signal.SIGKILL)
    folder.open("run")
    assert folder.run()[0] == 0
    assert len(folder.starts("run")) == 2 and folder.done("run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_commands_which_write_checkpoints(folder, number):
    folder.declare({"name": "run", "until": folder.gate("run")}, {"name": "other"})
    process = folder.start()
    folder.wait_for_start("run")
    process.send_signal(number)
    text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == study_run.STOPPED
    assert "stopped; run the same command again to resume" in text
    assert "FAILED" not in text
    if number == signal.SIGTERM:
        assert (folder.path / "results" / "run.checkpoint").exists()
    assert not folder.done("run") and not folder.starts("other")
    (state,) = folder.path.glob("cells/run-*/state.json")
    assert json.loads(state.read_text())["outcome"] == "stopped"
    folder.open("run")
    assert folder.run()[0] == 0 and folder.done("run")


def test_two_studies_share_the_cells(folder):
    names = [f"cell{number}" for number in range(6)]
    folder.declare(*({"name": name, "until": folder.gate("all")} for name in names))
    both = [folder.start(2), folder.start(2)]
    for name in names[:4]:
        folder.wait_for_start(name)
    assert not folder.starts("cell4")
    folder.open("all")
    for process in both:
        process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    assert [len(folder.starts(name)) for name in names] == [1] * 6


def test_one_cell_waits_for_those_that_it_needs(folder):
    folder.declare({"name": "run"}, {"name": "after", "needs": ["run"]})
    last = folder.start(1, 1)
    assert "waiting for the cells 0 (run): waiting" in last.stdout.readline()
    assert not folder.starts("run")
    assert folder.run(1, 0)[0] == 0
    last.communicate(timeout=SECONDS)
    assert last.returncode == 0 and folder.done("after")


def test_one_cell_ends_when_one_that_it_needs_fails(folder):
    folder.declare({"name": "run", "status": "2"}, {"name": "after", "needs": ["run"]})
    last = folder.start(1, 1)
    last.stdout.readline()
    assert folder.run(1, 0)[0] == 1
    text, _ = last.communicate(timeout=SECONDS)
    assert last.returncode == 1 and "FAILED: run" in text
    assert not folder.starts("after")


@pytest.mark.parametrize("patience", [0.0, 600.0])
def test_one_cell_gives_up_waiting_for_one_that_failed_before(
    folder, monkeypatch, patience
):
    monkeypatch.setattr(scheduler, "_PATIENCE_SECONDS", patience)
    folder.declare({"name": "run"}, {"name": "after", "needs": ["run"]})
    cells = mock_study.cells(folder.path)
    state = CellFolder(str(folder.path), cells[0])
    state.take().close()
    state.write(Record("failed", cells[0].fingerprint, "", reason="full"))
    lines = []
    stop = StopSignals()

    def say(line):
        lines.append(line)

    def wait(seconds):
        # Nobody starts the cell.
        stop.received = "SIGTERM"

    own = scheduler.Scheduler(cells, str(folder.path), [{}], say)
    monkeypatch.setattr(scheduler.time, "sleep", wait)
    ended = own.run(stop, ["after"])
    assert ended == (patience == 0.0) == ("run" in own.failed)


def test_a_full_disk_is_an_error_with_the_name_of_the_file(folder, monkeypatch):
    folder.declare({"name": "run"})
    cells = mock_study.cells(folder.path)

    def full(path, text):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("selfsup.common.files.write_atomically", full)
    own = scheduler.Scheduler(cells, str(folder.path), [{}])
    with pytest.raises(
        UserError, match=r"state\.json: cannot be written: No space left"
    ):
        own.run(StopSignals())


@pytest.mark.parametrize(
    ("outcome", "commit"), [("stopped", "abc, def"), ("done", "def")]
)
def test_a_resumed_cell_has_the_commits_of_all_its_starts(
    folder, monkeypatch, outcome, commit
):
    folder.declare({"name": "run"})
    (cell,) = mock_study.cells(folder.path)
    state = CellFolder(str(folder.path), cell)
    state.take().close()
    state.write(Record(outcome, cell.fingerprint, "", commit="abc", seconds=1000.0))
    monkeypatch.setattr("selfsup.common.provenance.source_commit", lambda: "def")
    monkeypatch.chdir(ROOT)
    own = scheduler.Scheduler([cell], str(folder.path), [{}], lambda line: None)
    assert own.run(StopSignals())
    record = state.read()
    assert record.commit == commit
    assert (record.seconds > 1000.0) == (outcome == "stopped")
