import doctest

import pytest

from selfsup.common.errors import UserError
from selfsup.hybrid import assignment
from selfsup.hybrid.assignment import assign, parse_request

GPUS = tuple(f"/GPU:{index}" for index in range(5))
TASKS = ("a", "b")


def test_tasks_take_turns_on_one_device():
    made = assign(TASKS, GPUS[:1], GPUS[:1])
    assert made.takes_turns and made == assignment.taking_turns(TASKS)


def test_all_devices_are_distributed_evenly():
    made = assign(TASKS, GPUS, GPUS)
    assert made.groups == {"a": GPUS[:3], "b": GPUS[3:]}
    assert made.replicas == {"a": 3, "b": 2}
    assert not made.takes_turns and made.servers == GPUS
    many = tuple(f"/GPU:{index}" for index in range(64))
    assert assign("abcd", many, many).replicas == dict.fromkeys("abcd", 16)


def test_a_request_is_met_and_may_leave_devices_unused():
    made = assign(TASKS, GPUS, GPUS, parse_request(["b:2", "a:1"]))
    assert made.groups == {"a": GPUS[:1], "b": GPUS[1:3]}
    # A request for the only device makes a group, with a copy of the master.
    assert assign(["a"], GPUS[:1], GPUS, {"a": 1}).groups == {"a": GPUS[:1]}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a:4", "b:2"], r"4 \+ 2 = 6 devices are requested, but only 5"),
        (["a:1"], "no devices are given for b"),
        (["a:1", "b:1", "c:1"], "c is not a task"),
        (["a"], "expected TASK:NUMBER"),
        (["a:0"], "expected TASK:NUMBER"),
        (["a:1", "a:2"], "the task a occurs twice"),
    ],
)
def test_impossible_requests_are_refused_with_the_numbers(texts, message):
    with pytest.raises(UserError, match=message):
        assign(TASKS, GPUS, GPUS, parse_request(texts))


def test_too_few_devices_for_the_tasks():
    with pytest.raises(UserError, match=r"3 tasks need a device each.*but 2 devices"):
        assign("abc", GPUS[:2], GPUS)


def test_example():
    assert doctest.testmod(assignment).failed == 0


def test_a_single_device_is_shared_by_all_tasks_that_step_together():
    made = assign(TASKS, GPUS[:1], GPUS[:1], aggregation="sync")
    assert made.groups == {"a": GPUS[:1], "b": GPUS[:1]} and not made.takes_turns
    several = assign(TASKS, GPUS, GPUS, aggregation="sync")
    assert several == assign(TASKS, GPUS, GPUS)


def test_asynchronous_tasks_cannot_take_turns():
    with pytest.raises(UserError, match="a device of its own, but /GPU:0 is the only"):
        assign(TASKS, GPUS[:1], GPUS[:1], aggregation="async")
    assert assign(["a"], GPUS[:1], GPUS, {"a": 1}, "async").groups == {"a": GPUS[:1]}
