"""A thread's own way into TensorFlow's runtime."""

import sys

from tensorflow.python.eager import context, executor

from selfsup.hybrid import lost_device_log


def isolated():
    """A context in which this thread's operations have an executor of their own.

    Threads share one otherwise, and what one thread started on a machine that died
    then raises in another that has nothing to do with it. TensorFlow's own coordinator
    of parameter servers does so too; there is no public name for it.
    """
    return context.executor_scope(executor.new_executor(enable_async=False))


def log_what_dead_machines_left():
    """Sends what executors report when they are deleted to `loss_log`.

    An executor that had started something on a machine that died raises when it is
    deleted, after the step itself has raised; Python then prints a trace, dozens for a
    lost worker. Clearing the error first would keep it quiet too, but TensorFlow then
    frees an executor that the dead machine's operations still point at, which was seen
    to corrupt memory.
    """
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook(sys.unraisablehook)


class _Hook:
    """Stands in for `sys.unraisablehook`, which gets all else."""

    def __init__(self, others):
        self._others = others
        # Held here, as modules may be gone when the last executors are deleted.
        self._mine, self._write = executor.Executor.__del__, lost_device_log.write

    def __call__(self, unraisable):
        if unraisable.object is self._mine:
            self._write(f"left undone on a lost device: {unraisable.exc_value}")
        else:
            self._others(unraisable)
