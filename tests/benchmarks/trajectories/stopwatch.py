"""Measures the CPU time of functions while other code calls them."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Callable, TypeVar
from unittest import mock

_Result = TypeVar("_Result")


@contextlib.contextmanager
def stopwatch(
    parts: Mapping[str, Sequence[tuple[ModuleType | type, str]]],
) -> Iterator[dict[str, float]]:
    """Adds up the CPU seconds of this thread in some functions, by part.

    Args:
      parts: for each part, its functions as (module or class, name). None of them may
        call another.

    Yields:
      Seconds by part, which grow inside the `with` statement.
    """
    seconds: dict[str, float] = collections.defaultdict(float)

    def timed(part: str, function: Callable[..., _Result]) -> Callable[..., _Result]:
        def call(*args: object, **kwargs: object) -> _Result:
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[part] += time.thread_time() - start

        return call

    with contextlib.ExitStack() as stack:
        for part, functions in parts.items():
            for owner, name in functions:
                replacement = timed(part, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, replacement))
        yield seconds
