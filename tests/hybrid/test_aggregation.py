"""Compares the three modes with their definitions, step by step, on logical CPUs."""

import dataclasses

import mock_tasks
import numpy as np
import pytest
import tensorflow as tf
from mock_tasks import BATCH, FULL_RATE, Network, workload

from selfsup.common.errors import UserError
from selfsup.hybrid import aggregation, assignment
from selfsup.hybrid.rmsprop import RMSProp

TASKS = ("a", "bb")
RATE = 0.01


def _made(mode, devices, **options):
    network = Network(TASKS)
    workloads = [workload(network, name, **options) for name in TASKS]
    return network, aggregation.MODES[mode](workloads, FULL_RATE, devices)


def _assert_same(actual, expected):
    for variable, other in zip(actual, expected):
        np.testing.assert_allclose(
            variable.numpy(), other.numpy(), rtol=1e-4, atol=1e-6
        )


def _batch(task, step):
    (batch,) = mock_tasks.batches(task, step * BATCH).take(1)
    return batch


def _summed_loss_steps(count):
    """Returns a network and its RMSProp after steps on the sum of the tasks' losses.

    On one device, with one tape and one optimizer. The statistic changes by the sum of
    the changes that the tasks' batches would cause separately.
    """
    network = Network(TASKS)
    variables = [network.shared, *(network.heads[name] for name in TASKS)]
    optimizer = RMSProp(variables)
    for step in range(count):
        before = network.moving_mean.numpy()
        batches = {name: _batch(name, step) for name in TASKS}
        with tf.GradientTape() as tape:
            total = sum(network.objective(n, batches[n], False)[0] for n in TASKS)
        optimizer.apply(variables, tape.gradient(total, variables), RATE)
        moves = [0.1 * (np.mean(batches[name], axis=0) - before) for name in TASKS]
        network.moving_mean.assign(before + sum(moves))
    return network, optimizer


@pytest.mark.parametrize(
    "devices",
    [
        {"a": ["/CPU:1", "/CPU:2"], "bb": ["/CPU:3"]},
        {"a": ["/CPU:1"], "bb": ["/CPU:1"]},
    ],
    ids=["three devices", "one device"],
)
def test_sync_equals_a_step_on_the_summed_loss_on_one_device(devices):
    expected, optimizer = _summed_loss_steps(4)
    network, made = _made("sync", devices)
    (joint,) = made.steppers
    results = [joint.advance() for _ in range(4)]
    assert [set(result.logs) for result in results] == [set(TASKS)] * 4
    _assert_same(network.trainable_variables, expected.trainable_variables)
    _assert_same([network.moving_mean], [expected.moving_mean])
    _assert_same(made.optimizers["all"].variables, optimizer.variables)
    assert {name: group.steps for name, group in made.groups.items()} == {
        "a": 4,
        "bb": 4,
    }


def test_sync_is_not_turns_of_the_tasks():
    """Shows that the test above can fail: turns have two RMSProps and see updates."""
    expected, _ = _summed_loss_steps(4)
    network, made = _made("hybrid", {"a": ["/CPU:1"], "bb": ["/CPU:2"]})
    for _ in range(4):
        for name in TASKS:
            made.groups[name].step()
    assert np.abs(network.shared.numpy() - expected.shared.numpy()).max() > 1e-3


def test_a_sync_step_with_one_bad_task_changes_nothing():
    devices = {"a": ["/CPU:1"], "bb": ["/CPU:2"]}
    network = Network(TASKS)
    workloads = [
        workload(network, "a"),
        workload(network, "bb", poisoned_steps=(1,)),
    ]
    made = aggregation.synchronous(workloads, FULL_RATE, devices)
    (joint,) = made.steppers
    joint.advance()
    state = [*network.variables, *joint.optimizer.variables]
    before = [variable.numpy() for variable in state]
    joint.advance()
    for variable, value in zip(state, before):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert [group.skipped for group in made.groups.values()] == [1, 1]
    assert [group.steps for group in made.groups.values()] == [2, 2]


def test_with_one_worker_a_task_async_is_hybrid():
    devices = {"a": ["/CPU:1"], "bb": ["/CPU:2"]}
    networks, logs = [], []
    for mode in ("hybrid", "async"):
        network, made = _made(mode, devices)
        assert [stepper.name for stepper in made.steppers] == list(TASKS)
        order = [0, 1, 1, 0, 0, 1]
        logs.append([made.steppers[index].advance().logs for index in order])
        networks.append(network)
        assert made.groups["a"].steps == 3 and made.groups["a"].examples == 3 * BATCH
    assert logs[0] == logs[1]
    for first, second in zip(networks[0].variables, networks[1].variables):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def _applications(parts):
    """Returns a network and its RMSProp after applying the gradient of each part."""
    network = Network(TASKS)
    variables = [network.shared, network.heads["a"]]
    optimizer = RMSProp(variables)
    for part in parts:
        with tf.GradientTape() as tape:
            total, _ = network.objective("a", part, False)
        optimizer.apply(variables, tape.gradient(total, variables), RATE)
    return network, optimizer


@pytest.mark.parametrize("mode", ["hybrid", "async"])
def test_two_workers_are_one_application_or_two_of_half_the_batch(mode):
    """The modes differ in this only: they apply the mean of the halves, or each half.

    In async, the gradient of the second half is taken after the update by the first,
    and slots and statistics change twice.
    """
    batches = [_batch("a", step) for step in range(3)]
    halves = [half for batch in batches for half in np.split(batch.numpy(), 2)]
    expected, optimizer = _applications({"hybrid": batches, "async": halves}[mode])
    network, made = _made(mode, {"a": ["/CPU:1", "/CPU:2"], "bb": ["/CPU:3"]})
    own = [stepper for stepper in made.steppers if stepper.tasks == ("a",)]
    for _ in range(3):
        for stepper in own:
            stepper.advance()
    group = made.groups["a"]
    assert (group.steps, group.examples) == (3 * len(own), 3 * BATCH)
    _assert_same(network.variables, expected.variables)
    _assert_same(group.optimizer.variables, optimizer.variables)


def test_async_workers_take_the_parts_of_a_groups_replicas():
    """Three workers on 4 examples take 2, 1 and 1, with different seeds."""
    made = _made("async", {"a": [f"/CPU:{i}" for i in (1, 2, 3)], "bb": ["/CPU:1"]})[1]
    workers = made.groups["a"].workers
    assert [worker.examples_per_step for worker in workers] == [2, 1, 1]
    assert len({worker.workload.seed for worker in workers}) == 3
    assert workers[1].name == "a, worker 2 of 3"
    assert made.groups["a"].examples_per_step == BATCH / 3


def test_async_counters_are_restored_with_another_number_of_workers():
    three = {"a": [f"/CPU:{i}" for i in (1, 2, 3)], "bb": ["/CPU:1"]}
    group = _made("async", three)[1].groups["a"]
    workers = [
        {"steps": n, "examples": 2 * n, "skipped": 1, "stand_ins": n} for n in (7, 5, 2)
    ]
    sums = {"steps": 14, "examples": 28, "skipped": 3, "stand_ins": 14}
    stored = {**sums, "workers": workers}
    group.restore(stored)
    assert group.counters() == stored
    assert [worker.steps for worker in group.workers] == [7, 5, 2]
    two = {"a": ["/CPU:1", "/CPU:2"], "bb": ["/CPU:1"]}
    fewer = _made("async", two)[1].groups["a"]
    fewer.restore(stored)
    assert [worker.steps for worker in fewer.workers] == [7, 7]
    assert {**fewer.counters(), **sums} == fewer.counters()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_modes_that_need_devices_refuse_tasks_without(mode):
    with pytest.raises(UserError, match=f"'{mode}'.* without a device: a, bb"):
        _made(mode, dict.fromkeys(TASKS, ()))


def test_sync_has_one_learning_rate():
    network = Network(TASKS)
    workloads = [workload(network, name) for name in TASKS]
    workloads[1] = dataclasses.replace(workloads[1], learning_rate=0.5)
    with pytest.raises(ValueError, match=r"'a': 0\.01, 'bb': 0\.5"):
        aggregation.synchronous(workloads, None, dict.fromkeys(TASKS, ("/CPU:1",)))


def test_the_flag_offers_all_modes():
    assert set(assignment.AGGREGATIONS) == set(aggregation.MODES)
