"""Worker processes that may crash or hang, while the parent knows at which step.

`concurrent.futures` breaks the whole pool when one process dies, and does not say which
job killed it. Some inputs of a builder crash a native decoder or never let it return.
The builder has to name such an input and continue with the others.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union

from selfsup.common import processor

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Job = TypeVar("Job")
StepValue = TypeVar("StepValue")
Result = TypeVar("Result")

# What the workers run, picklable: it takes a job, yields a value at each step and
# returns the job's result.
Work = Callable[[Job], Generator[StepValue, None, Result]]

_CONTEXT = multiprocessing.get_context("spawn")
_RESULT = "result"
_STEP = "step"
# Longest wait, in seconds; also the most that a stop of this process (Ctrl-Z) can add
# to the time of a step.
_MAX_WAIT = 1.0


@dataclasses.dataclass(frozen=True)
class StepReport(Generic[Job, StepValue]):
    """A worker has reached the step of `job` at which `work` yielded `value`."""

    job: Job
    value: StepValue


@dataclasses.dataclass(frozen=True)
class JobResult(Generic[Job, Result]):
    """A worker has finished `job`; `value` is what `work` returned."""

    job: Job
    value: Result


@dataclasses.dataclass(frozen=True)
class WorkerDeath(Generic[Job]):
    """A worker process has died.

    Attributes:
      job: the job that the worker had; the pool does not run it again. None for an idle
        worker.
      exitcode: as in `multiprocessing.Process`: negative for a signal.
    """

    job: Job | None
    exitcode: int | None


@dataclasses.dataclass(frozen=True)
class WorkerTimeout(Generic[Job]):
    """The pool has killed a worker because a step took longer than the limit.

    Attributes:
      job: the job that the worker had; the pool does not run it again.
      seconds: the limit.
    """

    job: Job
    seconds: float


Event = Union[
    StepReport[Job, StepValue],
    JobResult[Job, Result],
    WorkerDeath[Job],
    WorkerTimeout[Job],
]


@dataclasses.dataclass
class Worker(Generic[Job]):
    """A worker process and the job that it has.

    Attributes:
      process: the process.
      connection: this process's end of the pipe.
      job: the worker's job; None while it is idle.
      is_timed: whether the time limit applies to the step that the worker is in.
      seconds: how long the worker has been in that step.
    """

    process: SpawnProcess
    connection: multiprocessing.connection.Connection
    job: Job | None = None
    is_timed: bool = False
    seconds: float = 0.0


def run(
    work: Work[Job, StepValue, Result],
    jobs: collections.deque[Job],
    workers: int,
    limit: float | None = None,
    kept_workers: list[Worker[Job]] | None = None,
) -> Generator[Event[Job, StepValue, Result], None, None]:
    """Runs `work(job)` for all jobs in `workers` processes.

    Args:
      work: picklable; `work(job)` is a generator that yields step values and returns
        the job's result.
      jobs: taken from the left; the caller may append to the deque while it iterates
        over the events.
      workers: number of processes; 0 starts one for each CPU.
      limit: seconds that a step may take, until the next step or the result. The pool
        kills a worker that takes longer. The limit does not apply before the first step
        and after a step of value None. None for no limit.
      kept_workers: list in which idle workers are kept for the next call with the same
        work, until `stop_workers`. None stops them at the end of this call.

    Yields:
      `StepReport`, `JobResult`, `WorkerDeath` and `WorkerTimeout` events. Closing the
      generator stops the workers that have a job.
    """
    is_kept = kept_workers is not None
    pool = [] if kept_workers is None else kept_workers
    workers = workers or processor.cores()
    try:
        while jobs or _has_busy(pool):
            _assign(work, jobs, pool, workers)
            ready = _wait(pool, limit)
            for worker in list(pool):
                event: Event[Job, StepValue, Result]
                if worker.connection in ready:
                    event = _receive(worker)
                elif worker.is_timed and limit is not None and worker.seconds >= limit:
                    event = _kill(worker, limit)
                else:
                    continue
                if isinstance(event, (WorkerDeath, WorkerTimeout)):
                    pool.remove(worker)
                yield event
    finally:
        if not is_kept or _has_busy(pool):
            stop_workers(pool)


def stop_workers(pool: list[Worker[Job]]) -> None:
    """Kills the workers and empties the list."""
    for worker in pool:
        worker.process.kill()
    for worker in pool:
        worker.process.join()
    pool.clear()


def describe_exit(exitcode: int | None) -> str:
    """Puts the exit code of a process into words, to follow its name."""
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return f"ended with exit code {exitcode}"


def _has_busy(pool: Iterable[Worker[Job]]) -> bool:
    return any(worker.job is not None for worker in pool)


def _assign(
    work: Work[Job, StepValue, Result],
    jobs: collections.deque[Job],
    pool: list[Worker[Job]],
    max_workers: int,
) -> None:
    """Sends jobs to idle workers; starts workers while there are fewer than allowed."""
    idle = collections.deque(worker for worker in pool if worker.job is None)
    while jobs and (idle or len(pool) < max_workers):
        if not idle:
            pool.append(_start(work))
            idle.append(pool[-1])
        worker = idle.popleft()
        worker.job = jobs.popleft()
        # `_receive` notices a worker that died while it was idle.
        with contextlib.suppress(OSError):
            worker.connection.send(worker.job)


def _start(work: Work[Job, StepValue, Result]) -> Worker[Job]:
    parent_end, child_end = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_serve, args=(work, child_end), daemon=True)
    with _ignore_interrupts():
        process.start()
    # Only the worker keeps its end open, so its death is an end of file here.
    child_end.close()
    return Worker(process, parent_end)


@contextlib.contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Ignores SIGINT, so that children inherit this: the parent handles Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _wait(
    pool: list[Worker[Job]], limit: float | None
) -> list[multiprocessing.connection.Connection | Any]:
    """Waits for messages and adds the time to what the workers' steps took.

    The waits are short: when this process is stopped, its workers usually are too, and
    that time must not count.

    Returns:
      the connections that can be read.
    """
    timeout = None if limit is None else min(limit, _MAX_WAIT)
    start = time.monotonic()
    ready = multiprocessing.connection.wait([w.connection for w in pool], timeout)
    seconds = time.monotonic() - start
    for worker in pool:
        worker.seconds += seconds if timeout is None else min(seconds, timeout)
    return ready


def _kill(worker: Worker[Job], limit: float) -> WorkerTimeout[Job]:
    """Kills a worker; does not wait for it, as the system may not release it."""
    assert worker.job is not None  # The time limit applies in the steps of a job.
    worker.process.kill()
    worker.connection.close()
    return WorkerTimeout(worker.job, limit)


def _receive(
    worker: Worker[Job],
) -> StepReport[Job, Any] | JobResult[Job, Any] | WorkerDeath[Job]:
    """Reads the message of a worker; what it holds is as `work` yielded or returned it."""
    job = worker.job
    worker.seconds = 0.0
    try:
        kind, value = worker.connection.recv()
    except (EOFError, OSError):
        worker.connection.close()
        worker.process.join()
        return WorkerDeath(job, worker.process.exitcode)
    assert job is not None  # Idle workers send nothing.
    if kind == _STEP:
        worker.is_timed = value is not None
        return StepReport(job, value)
    worker.job = None
    worker.is_timed = False
    return JobResult(job, value)


def _serve(
    work: Work[Job, StepValue, Result],
    connection: multiprocessing.connection.Connection,
) -> None:
    """Runs in the worker process: receives jobs, sends steps and results."""
    # The parent handles Ctrl-C, also when it started this process from another thread.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Workers decode only; TensorFlow would claim all memory of every GPU it sees.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    # There is a process for each CPU, so each needs one thread only.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # A pipe breaks when the parent was killed: nobody is left to report to.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        while True:
            _serve_job(work, connection.recv(), connection)


def _serve_job(
    work: Work[Job, StepValue, Result],
    job: Job,
    connection: multiprocessing.connection.Connection,
) -> None:
    steps = work(job)
    while True:
        try:
            connection.send((_STEP, next(steps)))
        except StopIteration as stop:
            connection.send((_RESULT, stop.value))
            return


def _exit_with_parent() -> None:
    """Ends this process as soon as the parent is dead."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # The pool started this process.
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
