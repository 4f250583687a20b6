import doctest

import pytest

from selfsup.errors import UserError
from selfsup.hybrid import assignment
from selfsup.hybrid.assignment import assign, parse_request

GPUS = tuple(f"/GPU:{index}" for index in range(5))
BATCHES = {"a": 4, "b": 2}


def test_one_device_is_taken_in_turns():
    made = assign(BATCHES, GPUS[:1], GPUS[:1])
    assert made.takes_turns and made == assignment.alone(BATCHES)


def test_several_are_shared_out_and_no_replica_is_without_an_example():
    made = assign(BATCHES, GPUS, GPUS)
    assert made.groups == {"a": GPUS[:3], "b": GPUS[3:]}
    assert not made.takes_turns and made.servers == GPUS
    many = tuple(f"/GPU:{index}" for index in range(20))
    assert [len(one) for one in assign(BATCHES, many, many).groups.values()] == [4, 2]


def test_a_request_is_met_and_may_leave_devices_over():
    made = assign(BATCHES, GPUS, GPUS, parse_request(["b:2", "a:1"]))
    assert made.groups == {"a": GPUS[:1], "b": GPUS[1:3]}
    # Of one device for one task: a group, with a copy of the master.
    assert assign({"a": 4}, GPUS[:1], GPUS, {"a": 1}).groups == {"a": GPUS[:1]}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["a:4", "b:2"], r"4 \+ 2 = 6 devices; there are 5"),
        (["a:1"], "b has no devices"),
        (["a:1", "b:1", "c:1"], "c is no task of this run"),
        (["a:1", "b:3"], "a batch of 2 cannot be shared by 3 replicas"),
        (["a"], "expected TASK:NUMBER"),
        (["a:0"], "expected TASK:NUMBER"),
        (["a:1", "a:2"], "a is there twice"),
    ],
)
def test_impossible_requests_are_refused_with_the_arithmetic(texts, told):
    with pytest.raises(UserError, match=told):
        assign(BATCHES, GPUS, GPUS, parse_request(texts))


def test_no_replica_has_fewer_examples_than_its_task_needs():
    batches, least = {"a": 3, "b": 6}, {"b": 2}
    many = tuple(f"/GPU:{index}" for index in range(20))
    made = assign(batches, many, many, least=least)
    assert [len(one) for one in made.groups.values()] == [3, 3]
    assert assign(batches, GPUS, GPUS, {"a": 1, "b": 3}, least=least)
    told = r"--groups=b:4: a batch of 6 .* 4 \* 2 = 8: .* --task_set=b.batch_size=8"
    with pytest.raises(UserError, match=told):
        assign(batches, GPUS, GPUS, {"a": 1, "b": 4}, least=least)


def test_too_few_devices_for_the_tasks():
    with pytest.raises(UserError, match=r"3 tasks need a device each.*there are 2"):
        assign({"a": 1, "b": 1, "c": 1}, GPUS[:2], GPUS)


def test_example():
    assert doctest.testmod(assignment).failed == 0


def test_a_single_device_is_shared_by_all_tasks_that_step_together():
    made = assign(BATCHES, GPUS[:1], GPUS[:1], aggregation="sync")
    assert made.groups == {"a": GPUS[:1], "b": GPUS[:1]} and not made.takes_turns
    several = assign(BATCHES, GPUS, GPUS, aggregation="sync")
    assert several == assign(BATCHES, GPUS, GPUS)


def test_asynchronous_tasks_cannot_take_turns():
    with pytest.raises(UserError, match=r"a device of its own; there is 1 \(/GPU:0\)"):
        assign(BATCHES, GPUS[:1], GPUS[:1], aggregation="async")
    assert assign({"a": 4}, GPUS[:1], GPUS, {"a": 1}, "async").groups == {"a": GPUS[:1]}
