"""Reads an untrusted file in a child process, so that it can do the parent no harm.

Libraries for scientific formats trust the sizes that a file states. A damaged file can
crash the process that reads it, keep it busy forever or fill its memory.
"""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Generator
from typing import TypeVar

from data_prep.build import worker_pool
from selfsup.common.errors import UserError

_Job = TypeVar("_Job")
_StepValue = TypeVar("_StepValue")
_Result = TypeVar("_Result")


def run_isolated(
    work: worker_pool.Work[_Job, _StepValue, _Result],
    job: _Job,
    path: str,
    seconds: float,
) -> _Result:
    """Runs `work(job)` in a process that is started for it.

    Args:
      work: picklable generator function; see `worker_pool.run`.
      job: its picklable argument.
      path: the file that it reads, for messages.
      seconds: time limit of a step.

    Returns:
      what `work` returns.

    Raises:
      UserError: the process crashed or a step took too long.
    """
    jobs = collections.deque([job])
    with contextlib.closing(worker_pool.run(work, jobs, 1, seconds)) as events:
        return _wait_for_result(events, path)


def _wait_for_result(
    events: Generator[worker_pool.Event[_Job, _StepValue, _Result], None, None],
    path: str,
) -> _Result:
    for event in events:
        if isinstance(event, worker_pool.JobResult):
            return event.value
        if isinstance(event, worker_pool.WorkerTimeout):
            raise UserError(
                f"{path}: is damaged: reading it takes more than {event.seconds:g} s"
            )
        if isinstance(event, worker_pool.WorkerDeath):
            how = worker_pool.describe_exit(event.exitcode)
            raise UserError(f"{path}: is damaged: the process that read it {how}")
    raise AssertionError("the pool ended without a result")


def limit_memory(additional_bytes: int) -> None:
    """Limits how much memory this process may take beyond what it has now.

    An allocation over the limit raises `MemoryError`. Works on Linux only; elsewhere
    it has no effect.
    """
    try:
        import resource

        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
    except (ImportError, OSError, ValueError):
        return
    limit = pages * os.sysconf("SC_PAGE_SIZE") + additional_bytes
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    if hard_limit != resource.RLIM_INFINITY:
        limit = min(limit, hard_limit)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard_limit))
