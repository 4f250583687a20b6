"""Groups of several replicas, on TensorFlow's logical CPU devices."""

import mock_tasks
import numpy as np
import pytest
import tensorflow as tf
from mock_tasks import BATCH, Network, groups, workload

from selfsup.hybrid.assignment import even_share
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import RMSProp

DEVICES = [f"/CPU:{index}" for index in (1, 2, 3)]


def _steps(count, devices, **options):
    """Takes `count` steps of task "a"; returns network, group and the steps' logs."""
    network = Network(("a", "bb"))
    group = Group(workload(network, "a", **options), devices=devices)
    return network, group, [group.step() for _ in range(count)]


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_replicas_on_parts_of_a_batch_equal_one_on_the_whole(replicas):
    """Three replicas take 2, 1 and 1 of 4 examples, so parts have different weights."""
    whole, _, expected = _steps(5, ())
    parts, _, logs = _steps(5, DEVICES[:replicas])
    for actual, other in zip(parts.trainable_variables, whole.trainable_variables):
        np.testing.assert_allclose(actual.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
    for actual, other in zip(logs, expected):
        assert actual["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert actual["gradient_norm"] == pytest.approx(
            other["gradient_norm"], rel=1e-4
        )


def test_replicas_with_batches_of_their_own_count_all_their_examples():
    """Two replicas with 4 examples each are a step on the mean of both gradients."""
    _, group, logs = _steps(3, DEVICES[:2], own_batches=True)
    assert (group.replicas, group.examples_per_step) == (2, 2 * BATCH)
    assert (group.steps, group.examples) == (3, 3 * 2 * BATCH)
    network = Network(("a",))
    losses = []
    for name in ("a", "ax"):
        (inputs,) = mock_tasks.batches(name, 0).take(1)
        losses.append(float(network.objective("a", inputs, False)[1]["loss"]))
    assert logs[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_examples_are_restored_with_another_number_of_replicas():
    _, group, _ = _steps(3, DEVICES[:2], own_batches=True)
    network = Network(("a",))
    single = Group(workload(network, "a"), devices=())
    single.restore(group.counters())
    single.step()
    assert (single.steps, single.examples) == (4, 3 * 2 * BATCH + BATCH)
    # Version 0.1.0 did not store examples: its replicas shared one batch.
    single.restore({"steps": 5, "skipped": 0})
    assert single.examples == 5 * BATCH


def test_the_learning_rate_follows_the_examples_of_all_replicas():
    seen = []

    def rate(examples):
        tf.py_function(lambda number: seen.append(int(number)), [examples], [])
        return tf.constant(0.01)

    _steps(3, DEVICES[:2], own_batches=True, learning_rate=rate)
    assert seen == [0, 2 * BATCH, 4 * BATCH]


def test_statistics_move_by_the_mean_of_the_replicas_moves():
    network, _, _ = _steps(1, DEVICES[:3])
    (batch,) = mock_tasks.batches("a", 0).take(1)
    sizes = [even_share(BATCH, index, 3) for index in range(3)]
    parts = np.split(batch.numpy(), np.cumsum(sizes)[:-1])
    mean = sum(size * part.mean(0) for size, part in zip(sizes, parts)) / BATCH
    np.testing.assert_allclose(network.moving_mean.numpy(), 0.1 * mean, rtol=1e-5)


def test_a_step_does_not_change_the_other_group():
    network = Network(("a", "bb"))
    made = groups(network, {"a": DEVICES[:2], "bb": DEVICES[2:]})
    made["bb"].step()
    before = {
        "head": network.heads["bb"].numpy(),
        "slots": [slot.numpy() for slot in made["bb"].optimizer.variables],
    }
    made["a"].step()
    np.testing.assert_array_equal(network.heads["bb"].numpy(), before["head"])
    for slot, value in zip(made["bb"].optimizer.variables, before["slots"]):
        np.testing.assert_array_equal(slot.numpy(), value)


def test_slots_equal_those_of_a_separate_rmsprop():
    """The slots of group a depend on its gradients only, not on steps of group bb."""
    network = Network(("a", "bb"))
    made = groups(network, {"a": DEVICES[:2], "bb": DEVICES[2:]})
    variables = [network.shared, network.heads["a"]]
    expected = RMSProp(variables)
    for step in range(3):
        (batch,) = mock_tasks.batches("a", step * BATCH).take(1)
        with tf.GradientTape() as tape:
            total, _ = network.objective("a", batch, False)
        gradients = tape.gradient(total, variables)
        for slot, gradient in zip(expected.mean_squares, gradients):
            slot.assign(0.9 * slot + 0.1 * gradient**2)
        made["a"].step()
        made["bb"].step()
    for actual, other in zip(made["a"].optimizer.mean_squares, expected.mean_squares):
        np.testing.assert_allclose(actual.numpy(), other.numpy(), rtol=1e-4)


def test_a_step_with_one_bad_replica_changes_nothing():
    network, group, _ = _steps(2, DEVICES[:2], poisoned_steps=(2,), poisoned=1)
    state = [*network.variables, *group.optimizer.variables]
    before = [variable.numpy() for variable in state]
    group.step()
    assert group.skipped == 1
    for variable, value in zip(state, before):
        np.testing.assert_array_equal(variable.numpy(), value)
    shared = network.shared.numpy()
    group.step()
    assert np.any(network.shared.numpy() != shared) and group.skipped == 1


def test_masters_may_be_spread_over_servers():
    expected, _, _ = _steps(3, ())
    with tf.device("/CPU:0"):
        network = Network(("a",))
    with tf.device("/CPU:3"):
        network.heads["a"] = tf.Variable(network.heads["a"])
    group = Group(workload(network, "a"), devices=DEVICES[:2])
    for _ in range(3):
        group.step()
    assert "CPU:3" in group.optimizer.momenta[1].device
    np.testing.assert_allclose(
        network.heads["a"].numpy(), expected.heads["a"].numpy(), rtol=1e-4
    )


def test_shares_differ_by_at_most_one_and_add_up():
    for batch_size in range(1, 20):
        for count in range(1, batch_size + 1):
            shares = [even_share(batch_size, index, count) for index in range(count)]
            assert sum(shares) == batch_size
            assert max(shares) - min(shares) <= 1 and min(shares) > 0
