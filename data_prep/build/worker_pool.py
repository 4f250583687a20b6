"""Worker processes that may crash or hang: which job and step did is always known.

`concurrent.futures` breaks the whole pool when one process dies and does not say
whose fault it was; a builder meets inputs that crash native decoders or keep them for
ever, and has to name them and go on.
"""

import collections
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from typing import Any

_CONTEXT = multiprocessing.get_context("spawn")
_FINISHED = "finished"
_STEP = "step"
# Seconds of a wait; what a stop of this process (Ctrl-Z) can add to a step's time.
_TURN = 1.0


@dataclasses.dataclass(frozen=True)
class StepReport:
    """A worker reports `value`, which its `work` yielded on the way."""

    job: Any
    value: Any


@dataclasses.dataclass(frozen=True)
class JobResult:
    """A worker is through with the job; `value` is what `work` returned."""

    job: Any
    value: Any


@dataclasses.dataclass(frozen=True)
class WorkerDeath:
    """A worker process ended in the middle of the job.

    Attributes:
      job: the job, which is not put back by itself; None for an idle worker.
      exitcode: as in `multiprocessing.Process`, minus the signal's number if any.
    """

    job: Any
    exitcode: int


@dataclasses.dataclass(frozen=True)
class WorkerTimeout:
    """A worker was killed because a step took longer than the limit.

    Attributes:
      job: the job, which is not put back by itself.
      seconds: the limit.
    """

    job: Any
    seconds: float


@dataclasses.dataclass
class _Member:
    process: Any
    connection: Any
    job: Any = None
    # Whether its time counts, and the seconds that it took since its last report.
    timed: bool = False
    waited: float = 0.0


def run(work, jobs, workers, limit=None, kept_workers=None):
    """Runs `work(job)` for all jobs in `workers` processes.

    Args:
      work: picklable; `work(job)` is a generator that yields step values and returns
        the job's result.
      jobs: a `collections.deque`, taken from the left; the caller may append to it
        while it iterates over the events.
      workers: number of processes.
      limit: seconds that a step may take, until the next or the result; a worker
        that takes longer is killed. The time before the first step and after a step
        of value None does not count. None for no limit.
      kept_workers: list in which workers that have nothing more to do are left for the next
        call with the same work; until `stop_workers`. None to end them here.

    Yields:
      `StepReport`, `JobResult`, `WorkerDeath` and `WorkerTimeout` events. Closing the generator ends the
      workers.
    """
    kept = kept_workers is not None
    members = kept_workers if kept else []
    try:
        while jobs or any(member.job is not None for member in members):
            _give_out(work, jobs, members, workers)
            ready = _wait(members, limit)
            for member in list(members):
                if member.connection in ready:
                    event = _receive(member)
                elif member.timed and limit is not None and member.waited >= limit:
                    event = _kill(member, limit)
                else:
                    continue
                if isinstance(event, (WorkerDeath, WorkerTimeout)):
                    members.remove(member)
                yield event
    finally:
        if not kept or any(member.job is not None for member in members):
            stop_workers(members)


def stop_workers(members):
    """Ends the workers that `run` has left, and forgets them."""
    for member in members:
        member.process.kill()
    for member in members:
        member.process.join()
    members.clear()


def available_cpus():
    """Number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_exit(exitcode):
    """What to tell a person about a process's exit code."""
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return f"ended with exit code {exitcode}"


def _give_out(work, jobs, members, workers):
    idle = collections.deque(m for m in members if m.job is None)
    while jobs and (idle or len(members) < workers):
        if not idle:
            members.append(_start(work))
            idle.append(members[-1])
        member = idle.popleft()
        member.job = jobs.popleft()
        # A member that died while idle is found by the next `_receive`.
        with contextlib.suppress(OSError):
            member.connection.send(member.job)


def _start(work):
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_serve, args=(work, theirs), daemon=True)
    with _interrupts_ignored():
        process.start()
    # Ours alone is left open, so that a worker's end is an end of file here.
    theirs.close()
    return _Member(process, ours)


@contextlib.contextmanager
def _interrupts_ignored():
    """Children inherit an ignored SIGINT: Ctrl-C is the parent's to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _wait(members, limit):
    """Returns the connections that have news; adds to the time the workers took.

    The waits are short: time in which this process was stopped, as a rule with its
    workers, is no time that they took.
    """
    turn = None if limit is None else min(limit, _TURN)
    start = time.monotonic()
    ready = multiprocessing.connection.wait([m.connection for m in members], turn)
    seconds = time.monotonic() - start
    for member in members:
        member.waited += seconds if turn is None else min(seconds, turn)
    return ready


def _kill(member, limit):
    """Kills a worker, without waiting for one that the system does not let go of."""
    member.process.kill()
    member.connection.close()
    return WorkerTimeout(member.job, limit)


def _receive(member):
    job = member.job
    member.waited = 0.0
    try:
        kind, value = member.connection.recv()
    except (EOFError, OSError):
        member.connection.close()
        member.process.join()
        return WorkerDeath(job, member.process.exitcode)
    if kind == _STEP:
        member.timed = value is not None
        return StepReport(job, value)
    member.job = None
    member.timed = False
    return JobResult(job, value)


def _serve(work, connection):
    """The worker process: jobs in, steps and results out, until told to end."""
    # Ctrl-C is the parent's to handle, also when it started us from another thread.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Workers decode; were they to see the GPUs, each would claim all their memory.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    # The processes are the parallelism.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # A pipe that breaks is a parent that was killed: nobody to tell.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        while True:
            _serve_job(work, connection.recv(), connection)


def _serve_job(work, job, connection):
    steps = work(job)
    while True:
        try:
            connection.send((_STEP, next(steps)))
        except StopIteration as stop:
            connection.send((_FINISHED, stop.value))
            return


def _end_with_parent():
    """Ends this process at once when the parent was killed."""
    parent = multiprocessing.parent_process()
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
