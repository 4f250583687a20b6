"""Isolates the TensorFlow operations of a thread from failures in other threads."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Callable

from tensorflow.python.eager import context, executor

from selfsup.hybrid import lost_device_log

if TYPE_CHECKING:
    # Exists for type checkers only.
    from sys import UnraisableHookArgs


def isolated() -> contextlib.AbstractContextManager[None]:
    """Returns a context in which this thread's operations have an executor of their own.

    Threads share an executor otherwise. An operation that a thread started on a machine
    that failed then raises in another thread, which did not use that machine.
    TensorFlow's coordinator of parameter servers does the same; there is no public name
    for it.
    """
    return context.executor_scope(executor.new_executor(enable_async=False))


def log_errors_of_deleted_executors() -> None:
    """Sends the errors of deleted executors to `lost_device_log`.

    An executor that started an operation on a machine that failed raises when it is
    deleted, after the step itself has raised. Python prints a traceback for each,
    dozens for a lost worker. Clearing the error first would also prevent the output,
    but TensorFlow then frees an executor that operations of the failed machine still
    point to, which has been seen to corrupt memory.
    """
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook(sys.unraisablehook)


class _Hook:
    """Replaces `sys.unraisablehook`, to which it passes all other errors."""

    def __init__(self, previous: Callable[[UnraisableHookArgs], Any]) -> None:
        self._previous = previous
        # Modules may be gone when the last executors are deleted, so keep references.
        self._delete, self._write = executor.Executor.__del__, lost_device_log.write

    def __call__(self, unraisable: UnraisableHookArgs) -> None:
        if unraisable.object is self._delete:
            self._write(f"left undone on a lost device: {unraisable.exc_value}")
        else:
            self._previous(unraisable)
