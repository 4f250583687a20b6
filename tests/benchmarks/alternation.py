"""Times several programs in turn, so that a busy machine slows all of them alike.

A contestant is measured in every round, and the order changes from round to round. A
ratio is the median of the rounds' ratios: two times of one round were measured seconds
apart, while the machine's load was about the same. This module needs only NumPy, so that
programs in other environments can import it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Protocol

_WARM_UP = 2


class Seconds(NamedTuple):
    """Elapsed seconds, and processor seconds of all threads together."""

    elapsed: float
    processor: float


class Contestant(Protocol):
    """A program that can be timed."""

    def run(self, steps: int) -> Seconds:
        """Takes some steps and returns the seconds of all of them."""


class Summary(NamedTuple):
    """The median and the first and third quartile of some numbers."""

    median: float
    first: float
    third: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.first:.3f} to {self.third:.3f})"


def summarize(values: Sequence[float]) -> Summary:
    """Returns median and quartiles of two or more numbers."""
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Summary(median, first, third)


class InProcess:
    """A function of this process.

    Args:
      step: takes one step. Its result may still be under computation.
      wait: waits for the result of a step; None if steps return finished results.
    """

    def __init__(
        self,
        step: Callable[[], object],
        wait: Callable[[Any], object] | None = None,
    ) -> None:
        self._step = step
        self._wait = wait

    def run(self, steps: int) -> Seconds:
        """Takes some steps and waits for the last result only."""
        start = clocks()
        for _ in range(steps):
            result = self._step()
        if self._wait is not None:
            self._wait(result)
        return since(start, clocks())


class OtherProcess:
    """A program in another process that calls `serve`; a context manager.

    Args:
      command: the program and its arguments.
      environment: environment variables in addition to those of this process.

    Attributes:
      about: what the program says of itself, JSON types by name.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.about: dict[str, Any] = self._answer()

    def run(self, steps: int) -> Seconds:
        """Lets the program take some steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return Seconds(*self._answer()["seconds"])

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate()

    def __enter__(self) -> OtherProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Libraries may print to stdout, too.
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(
            f"{self._process.args} ended with status {self._process.wait()} before it "
            "answered; its message is above"
        )


def serve(contestant: Contestant, about: Mapping[str, object]) -> None:
    """Takes steps as another process asks for them, until its end of stdin is closed.

    Args:
      contestant: what to time.
      about: JSON types for `OtherProcess.about`.
    """
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        seconds = contestant.run(int(line))
        print(json.dumps({"seconds": seconds}), flush=True)


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Measurements of several contestants in turn.

    Attributes:
      seconds: by contestant, the seconds of one step in each round.
    """

    seconds: Mapping[str, Sequence[Seconds]]

    def elapsed(self, name: str) -> float:
        """Median elapsed seconds of a step."""
        return statistics.median(each.elapsed for each in self.seconds[name])

    def processor(self, name: str) -> float:
        """Median processor seconds of a step."""
        return statistics.median(each.processor for each in self.seconds[name])

    def ratio(self, name: str, reference: str) -> Summary:
        """Elapsed time of a contestant relative to that of another, by round."""
        return self._ratio(name, [reference], 0)

    def processor_ratio(self, name: str, reference: str) -> Summary:
        """The same as `ratio` for processor time."""
        return self._ratio(name, [reference], 1)

    def ratio_to_sum(self, name: str, references: Sequence[str]) -> Summary:
        """Elapsed time relative to the sum of the times of others, by round."""
        return self._ratio(name, references, 0)

    def processor_ratio_to_sum(self, name: str, references: Sequence[str]) -> Summary:
        """The same as `ratio_to_sum` for processor time."""
        return self._ratio(name, references, 1)

    def _ratio(self, name: str, references: Sequence[str], clock: int) -> Summary:
        sums = [
            sum(each[clock] for each in round_)
            for round_ in zip(*(self.seconds[other] for other in references))
        ]
        own = [each[clock] for each in self.seconds[name]]
        return summarize([value / total for value, total in zip(own, sums)])


def measure(
    contestants: Mapping[str, Contestant],
    rounds: int,
    seconds: float,
    steps: int | None = None,
) -> Rounds:
    """Measures contestants in turn.

    Args:
      contestants: by name.
      rounds: measurements of each, 2 or more.
      seconds: about the elapsed seconds of a measurement; at least one step is taken.
      steps: steps of a measurement of every contestant instead of `seconds`.
    """
    numbers = {
        name: steps or _steps(contestant, seconds)
        for name, contestant in contestants.items()
    }
    times: dict[str, list[Seconds]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        # A contestant may profit from what the one before it left in the caches.
        shift = number // 2 % len(names)
        order = names[shift:] + names[:shift]
        for name in reversed(order) if number % 2 else order:
            total = contestants[name].run(numbers[name])
            times[name].append(Seconds(*(part / numbers[name] for part in total)))
    return Rounds(times)


def _steps(contestant: Contestant, seconds: float) -> int:
    """Warms a contestant up and returns how many of its steps take about `seconds`."""
    for _ in range(_WARM_UP):
        last = contestant.run(1)
    return max(1, math.ceil(seconds / max(last.elapsed, 1e-6)))


def clocks() -> Seconds:
    """Returns what both clocks show now."""
    return Seconds(time.perf_counter(), time.process_time())


def since(start: Seconds, end: Seconds) -> Seconds:
    """Returns the seconds between two results of `clocks`."""
    return Seconds(end.elapsed - start.elapsed, end.processor - start.processor)
