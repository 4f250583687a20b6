"""Jobs for the tests of the worker pool."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator


def count_to(number: int) -> Generator[int, None, int]:
    """Yields 1 to `number`; a negative number kills the process after its last step."""
    yield from range(1, abs(number) + 1)
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def process_id(job: object) -> Generator[int, None, object]:
    """Yields the id of the worker process; returns the job."""
    yield os.getpid()
    return job


def hang(job: str) -> Generator[int | str | None, None, str]:
    """Yields the process id, works outside of any step, then hangs in a step.

    It hangs only if the job is "hang".
    """
    yield os.getpid()
    yield None
    time.sleep(0.7)
    yield "asleep"
    if job == "hang":
        signal.pause()
    return job
