"""Work for the worker pool's tests."""

import os
import signal
import time


def count_to(number):
    """Yields 1 to `number`; negative numbers kill the process at their last step."""
    yield from range(1, abs(number) + 1)
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def processor(job):
    """Reports the worker's process id."""
    yield os.getpid()
    return job


def hang(job):
    """Reports the process, works without a step at hand, then hangs in one if told."""
    yield os.getpid()
    yield None
    time.sleep(0.7)
    yield "asleep"
    if job == "hang":
        signal.pause()
    return job
