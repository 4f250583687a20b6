from __future__ import annotations

import collections
import itertools
import os
import signal
import time

import pool_jobs
import pytest

from data_prep.build import worker_pool
from data_prep.build.worker_pool import (
    JobResult,
    StepReport,
    WorkerDeath,
    WorkerTimeout,
)


def test_steps_and_results_of_every_job():
    events = list(worker_pool.run(pool_jobs.count_to, collections.deque([2, 3]), 2))
    assert [e for e in events if e.job == 2] == [
        StepReport(2, 1),
        StepReport(2, 2),
        JobResult(2, 20),
    ]
    assert [e for e in events if e.job == 3][-1] == JobResult(3, 30)


def test_dead_worker_names_its_job_and_the_others_continue():
    jobs = collections.deque([-2, 1, 1, 1])
    events = list(worker_pool.run(pool_jobs.count_to, jobs, 2))
    assert [e for e in events if e.job == -2] == [
        StepReport(-2, 1),
        StepReport(-2, 2),
        WorkerDeath(-2, -signal.SIGKILL),
    ]
    assert events.count(JobResult(1, 10)) == 3


def test_job_put_back_while_iterating_is_done():
    jobs = collections.deque([-1])
    results = []
    for event in worker_pool.run(pool_jobs.count_to, jobs, 1):
        if isinstance(event, WorkerDeath):
            jobs.append(4)
        elif isinstance(event, JobResult):
            results.append(event.value)
    assert results == [40]


def test_hanging_worker_is_killed_and_the_others_continue():
    """The time between steps does not count, in any of the jobs."""
    jobs = collections.deque(["hang", "end", "end"])
    events = list(worker_pool.run(pool_jobs.hang, jobs, 2, limit=0.4))
    pid, *rest = [event for event in events if event.job == "hang"]
    assert rest == [
        StepReport("hang", None),
        StepReport("hang", "asleep"),
        WorkerTimeout("hang", 0.4),
    ]
    assert events.count(JobResult("end", "end")) == 2
    while _runs(pid.value):
        time.sleep(0.02)


def test_time_while_everything_is_stopped_does_not_count(monkeypatch):
    """The clock jumps, as during Ctrl-Z, and no worker is killed."""
    jumps = itertools.count(0, 1000)
    monkeypatch.setattr(worker_pool.time, "monotonic", lambda: float(next(jumps)))
    jobs = collections.deque([2, 3])
    events = list(worker_pool.run(pool_jobs.count_to, jobs, 1, limit=600.0))
    assert [e for e in events if not isinstance(e, StepReport)] == [
        JobResult(2, 20),
        JobResult(3, 30),
    ]


def test_closing_stops_the_workers():
    events = worker_pool.run(pool_jobs.process_id, collections.deque(range(9)), 1)
    pid = next(events).value
    os.kill(pid, 0)
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_may_be_kept_for_the_next_call():
    kept = []

    def pid(job):
        events = worker_pool.run(
            pool_jobs.process_id, collections.deque([job]), 1, kept_workers=kept
        )
        return next(
            event.value for event in list(events) if isinstance(event, StepReport)
        )

    assert pid("a") == pid("b")
    (worker,) = kept
    # A worker that died in between is replaced.
    worker.process.kill()
    worker.process.join()
    jobs = collections.deque(["c"])
    for event in worker_pool.run(pool_jobs.process_id, jobs, 1, kept_workers=kept):
        if isinstance(event, WorkerDeath):
            jobs.append("c")
    (worker,) = kept
    worker_pool.stop_workers(kept)
    assert not worker.process.is_alive() and not kept


def test_workers_end_with_a_killed_parent(tmp_path):
    """A killed builder leaves no worker that would continue to write."""
    note = tmp_path / "pid"
    parent = os.fork()
    if not parent:
        events = worker_pool.run(pool_jobs.process_id, collections.deque([1]), 1)
        note.write_text(str(next(events).value))
        time.sleep(600)
    while not (note.exists() and note.read_text()):
        time.sleep(0.02)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    while _runs(note.read_text()):
        time.sleep(0.02)


def _runs(pid):
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_exit_codes_in_words():
    assert worker_pool.describe_exit(-11) == "was killed by SIGSEGV"
    assert worker_pool.describe_exit(3) == "ended with exit code 3"
