"""Learning rates that change during a run (paper section 6, ImageNet baseline)."""

import numpy as np
import pytest
import tensorflow as tf
from mock_tasks import BATCH, Network, engine, workload

from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid.group import Group
from selfsup.hybrid.joint_group import JointGroup
from selfsup.hybrid.rmsprop import RMSPropConfig


def _halved_every_4(examples):
    """A rate that halves every 4 steps of `BATCH` examples."""
    return 0.01 * 0.5 ** tf.cast(tf.cast(examples, tf.int32) // (4 * BATCH), tf.float64)


WARMUP = 8
# Halved every 4 steps, under a factor that rises for the first 8.
EXPECTED = np.array([0.01] * 4 + [0.005] * 4 + [0.0025] * 2) * [
    *np.arange(1, WARMUP + 1) / WARMUP,
    1,
    1,
]


def _run(made):
    taken = []
    made.run(StopSignals(), 1e9, lambda name, logs, _: taken.append(logs))
    return taken


def test_the_rate_follows_the_steps_through_a_resume(tmp_path):
    config = RMSPropConfig(warmup_steps=WARMUP)
    options = {"learning_rate": _halved_every_4, "rmsprop_config": config}
    network, straight = engine(tmp_path / "straight", {"a": 10}, **options)
    rates = [logs["learning_rate"] for logs in _run(straight)]
    np.testing.assert_allclose(rates, EXPECTED, rtol=1e-6)
    _, first = engine(tmp_path / "cut", {"a": 6}, **options)
    _run(first)
    resumed_network, second = engine(tmp_path / "cut", {"a": 10}, **options)
    assert second.resume() == "checkpoint-000000006"
    rates = [logs["learning_rate"] for logs in _run(second)]
    np.testing.assert_allclose(rates, EXPECTED[6:], rtol=1e-6)
    np.testing.assert_array_equal(network.shared, resumed_network.shared)


@pytest.mark.parametrize("devices", [(), ("/CPU:1", "/CPU:2")])
def test_the_rate_is_the_one_applied(devices):
    """Without momentum, the change of the weights is proportional to the rate."""
    config = RMSPropConfig(momentum=0.0, warmup_steps=0)

    def moves(learning_rate):
        network = Network(("a",))
        made = workload(network, "a", learning_rate=learning_rate)
        group = Group(made, config, devices)
        for _ in range(3):
            before = network.shared.numpy()
            group.step()
            yield network.shared.numpy() - before

    first, *_ = moves(0.02)
    doubled, second, third = moves(lambda n: tf.gather([0.04, 0.02, 0.0], n // BATCH))
    np.testing.assert_allclose(doubled, 2 * first, rtol=1e-3)
    assert np.abs(second).max() > 0
    np.testing.assert_array_equal(third, 0.0)


@pytest.mark.parametrize("devices", [(), ("/CPU:1", "/CPU:2")])
def test_a_factor_multiplies_the_rate_of_the_next_step(devices):
    config = RMSPropConfig(momentum=0.0, warmup_steps=0)

    def steps(factors):
        network = Network(("a",))
        left = iter(factors)
        made = workload(network, "a", rate_factor=lambda: next(left))
        group = Group(made, config, devices)
        for _ in factors:
            before = network.shared.numpy()
            rate = group.step()["learning_rate"]
            yield rate, network.shared.numpy() - before

    ((_, full),) = steps([1.0])
    (rate, half), (second_rate, nothing) = steps([0.5, 0.0])
    assert (rate, second_rate) == pytest.approx((0.005, 0.0))
    np.testing.assert_allclose(half, full / 2, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(nothing, 0.0)


@pytest.mark.parametrize("devices", [(), ("/CPU:1", "/CPU:2")])
def test_a_factor_of_one_changes_no_bit(devices):
    results = []
    for factor in (None, lambda: 1.0):
        network = Network(("a",))
        group = Group(workload(network, "a", rate_factor=factor), devices=devices)
        for _ in range(5):
            group.step()
        results.append(network.shared.numpy())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("devices", [(), ("/CPU:1", "/CPU:2")])
def test_the_first_steps_of_a_group_are_warmed_up(devices):
    """The first of four steps changes the weights by a quarter of the full change."""
    moves = []
    for steps in (0, 4):
        network = Network(("a",))
        before = network.shared.numpy()
        config = RMSPropConfig(warmup_steps=steps)
        group = Group(workload(network, "a"), config, devices)
        logs = group.step()
        moves.append(network.shared.numpy() - before)
    np.testing.assert_allclose(moves[1], moves[0] / 4, rtol=1e-3)
    rates = [logs["learning_rate"]] + [group.step()["learning_rate"] for _ in range(4)]
    np.testing.assert_allclose(rates, [0.0025, 0.005, 0.0075, 0.01, 0.01], rtol=1e-6)


def test_a_constant_rate_is_not_logged():
    config = RMSPropConfig(warmup_steps=0)
    group = Group(workload(Network(("a",)), "a"), config)
    assert "learning_rate" not in group.step()


def test_a_checkpoint_without_a_warmup_resumes_at_the_full_rate(tmp_path):
    """The warm-up follows from the number of steps; checkpoints do not store it."""
    old, new = RMSPropConfig(warmup_steps=0), RMSPropConfig(warmup_steps=4)
    network, straight = engine(tmp_path / "straight", {"a": 9}, rmsprop_config=old)
    _run(straight)
    _run(engine(tmp_path / "cut", {"a": 5}, rmsprop_config=old)[1])
    resumed_network, second = engine(tmp_path / "cut", {"a": 9}, rmsprop_config=new)
    assert second.resume() == "checkpoint-000000005"
    rates = [logs["learning_rate"] for logs in _run(second)]
    np.testing.assert_allclose(rates, [0.01] * 4, rtol=1e-6)
    np.testing.assert_array_equal(network.shared, resumed_network.shared)


def test_the_rate_of_the_step_is_named_when_gradients_stay_bad(tmp_path):
    _, made = engine(
        tmp_path, {"a": 100}, nan_inputs=True, learning_rate=_halved_every_4
    )
    with pytest.raises(UserError, match=r"the last at step 20 .* \(now 0\.000625\)"):
        _run(made)


def test_tasks_that_step_together_need_one_rate():
    network = Network(("a", "bb"))
    made = [workload(network, name) for name in ("a", "bb")]
    other = workload(network, "bb", learning_rate=_halved_every_4)
    devices = {"a": ["/CPU:1"], "bb": ["/CPU:2"]}
    with pytest.raises(ValueError, match="one learning rate"):
        JointGroup([made[0], other], RMSPropConfig(), devices)
    JointGroup(made, RMSPropConfig(), devices)
