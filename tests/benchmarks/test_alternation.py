"""Checks the ratios of measurements in turn, and programs in other processes."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks import alternation
from tests.benchmarks.alternation import InProcess, OtherProcess, Rounds, Seconds

SERVER = """
from tests.benchmarks import alternation
print("a library's greeting")
taken = []
step = alternation.InProcess(lambda: taken.append(1), lambda _: None)
alternation.serve(step, {"version": "1"})
"""


class Scripted:
    """Takes given seconds, and remembers the numbers of steps."""

    def __init__(self, name: str, order: list[str], seconds: float) -> None:
        self.steps: list[int] = []
        self._name, self._order, self._seconds = name, order, seconds

    def run(self, steps: int) -> Seconds:
        self.steps.append(steps)
        self._order.append(self._name)
        return Seconds(steps * self._seconds, 2 * steps * self._seconds)


def test_contestants_take_turns_in_changing_order() -> None:
    order: list[str] = []
    contestants = {
        "slow": Scripted("slow", order, 0.3),
        "quick": Scripted("quick", order, 0.1),
    }
    rounds = alternation.measure(contestants, 4, 0.6)
    # Two to warm up, and as many steps as take 0.6 seconds.
    assert contestants["slow"].steps == [1, 1, 2, 2, 2, 2]
    assert contestants["quick"].steps == [1, 1, 6, 6, 6, 6]
    turns = [tuple(order[4:][i : i + 2]) for i in range(0, 8, 2)]
    assert set(turns) == {("slow", "quick"), ("quick", "slow")}
    assert rounds.elapsed("slow") == pytest.approx(0.3)
    assert rounds.processor("slow") == pytest.approx(0.6)
    assert rounds.ratio("slow", "quick") == pytest.approx((3, 3, 3))
    sums = rounds.ratio_to_sum("slow", ["quick", "slow"])
    assert sums.median == pytest.approx(0.75)


def test_ratios_are_of_times_of_the_same_round() -> None:
    """A machine that is twice as slow in some rounds changes no ratio."""
    load = [1.0, 2.0, 2.0, 1.0, 4.0]
    rounds = Rounds(
        {
            "a": [Seconds(3 * each, 3 * each) for each in load],
            "b": [Seconds(2 * each, each) for each in load],
        }
    )
    assert rounds.ratio("a", "b") == pytest.approx((1.5, 1.5, 1.5))
    assert rounds.processor_ratio("a", "b") == pytest.approx((3, 3, 3))
    assert alternation.summarize([1, 2, 3, 4, 5]) == pytest.approx((3, 2, 4))
    assert str(alternation.summarize([1, 2, 3])) == "2.000 (1.500 to 2.500)"


def test_steps_are_waited_for_once() -> None:
    taken, waited = [], []
    step = InProcess(lambda: taken.append(1) or len(taken), waited.append)
    seconds = step.run(5)
    assert len(taken) == 5 and waited == [5]
    assert seconds.elapsed >= 0 and seconds.processor >= 0


def test_a_program_of_another_process_is_timed() -> None:
    with OtherProcess([sys.executable, "-c", SERVER]) as program:
        assert program.about == {"version": "1"}
        assert program.run(3).elapsed > 0
        assert program.run(1).processor >= 0


def test_a_program_that_fails_is_named() -> None:
    with pytest.raises(RuntimeError, match="ended with status 3 before it answered"):
        OtherProcess([sys.executable, "-c", "raise SystemExit(3)"])
