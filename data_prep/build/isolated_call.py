"""Reads an untrusted file in a child process, which it may crash, keep or fill.

Libraries for scientific formats take a file's word for how much there is of everything.
"""

import collections
import contextlib
import os

from data_prep.build import worker_pool
from selfsup.common.errors import UserError


def call(work, job, path, seconds):
    """Runs `work(job)` in a process of its own.

    Args:
      work: picklable generator function, as of `worker_pool.run`; it returns a value.
      job: its picklable argument.
      path: the file that it reads, for messages.
      seconds: that a step of it may take.

    Returns:
      the value.

    Raises:
      UserError: the process crashed or took longer.
    """
    jobs = collections.deque([job])
    with contextlib.closing(worker_pool.run(work, jobs, 1, seconds)) as events:
        event = next(event for event in events if _is_end(event))
    if isinstance(event, worker_pool.JobResult):
        return event.value
    if isinstance(event, worker_pool.WorkerTimeout):
        raise UserError(f"{path}: is damaged: reading it takes over {seconds:g} s")
    how = worker_pool.describe_exit(event.exitcode)
    raise UserError(f"{path}: is damaged: its reader {how}")


def _is_end(event):
    return event.job is not None and not isinstance(event, worker_pool.StepReport)


def limit_memory(more):
    """Lets this process, a child, take no more than `more` bytes over what it has.

    What asks for more gets a `MemoryError`. Without effect where the system is no Linux.
    """
    try:
        import resource

        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
    except (ImportError, OSError, ValueError):
        return
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
