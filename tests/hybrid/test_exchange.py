"""The transfer between masters and replicas, and the trace that replicas share."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from mock_tasks import Network, batches, workload

from selfsup.hybrid.exchange import Exchange
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import RMSPropConfig
from selfsup.hybrid.transfer import BFLOAT16, FLOAT32, TransferOptions
from selfsup.hybrid.workload import Model

DEVICES = ["/CPU:1", "/CPU:2", "/CPU:3"]
HOSTS = {"/CPU:1": "one", "/CPU:2": "two", "/CPU:3": "one"}


def _group(devices, transfer=None, **config):
    network = Network(("a",))
    made = dataclasses.replace(
        workload(network, "a"), transfer=transfer or TransferOptions()
    )
    return network, Group(made, RMSPropConfig(**config), devices=devices)


def _rounded(values):
    return tf.cast(tf.cast(values, tf.bfloat16), tf.float32)


def test_bfloat16_rounds_only_what_is_pulled_and_pushed():
    """Compares with a step at rounded weights with rounded shares of gradients."""
    network, group = _group(DEVICES[:2], TransferOptions(BFLOAT16), decay=0.0)
    before = [network.shared.numpy(), network.heads["a"].numpy()]
    group.step()
    (batch,) = batches("a", 0).take(1)
    pulled = Network(("a",))
    for variable, value in zip((pulled.shared, pulled.heads["a"]), before):
        variable.assign(_rounded(value))
    expected = [0.0, 0.0]
    for half in tf.split(batch, 2):
        with tf.GradientTape() as tape:
            total, _ = pulled.objective("a", half, False)
        gradients = tape.gradient(total, [pulled.shared, pulled.heads["a"]])
        expected = [e + _rounded(0.5 * g) for e, g in zip(expected, gradients)]
    # Without decay the slot is the squared gradient of the last step.
    for slot, gradient in zip(group.optimizer.mean_squares, expected):
        np.testing.assert_allclose(slot.numpy(), gradient**2, rtol=1e-5)
    after = [network.shared.numpy(), network.heads["a"].numpy()]
    for old, new, momentum in zip(before, after, group.optimizer.momenta):
        np.testing.assert_allclose(new, old - momentum.numpy(), rtol=1e-6)
        assert np.any(new != _rounded(new).numpy())


def test_bfloat16_is_within_its_rounding_of_the_exact_step():
    slots = []
    for dtype in (FLOAT32, BFLOAT16):
        _, group = _group(DEVICES, TransferOptions(dtype), decay=0.0)
        logs = group.step()
        roots = [np.sqrt(slot.numpy()) for slot in group.optimizer.mean_squares]
        slots.append((roots, logs["loss"]))
    (exact, loss), (rounded, other_loss) = slots
    # 8 bits of mantissa: weights and gradients are each off by at most 2**-9.
    for actual, expected in zip(rounded, exact):
        tolerance = 2**-6 * expected.max()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)
    assert other_loss == pytest.approx(loss, rel=2**-6)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_summing_in_the_host_gives_the_same_step(dtype):
    """Devices 1 and 3 are on one host, which rounds their sum once more."""
    networks = []
    for host_of in (None, HOSTS.get):
        network, group = _group(DEVICES, TransferOptions(dtype, host_of), epsilon=1.0)
        logs = [group.step() for _ in range(3)]
        networks.append((network, logs))
    (plain, expected_logs), (summed, logs) = networks
    tolerance = 1e-6 if dtype == FLOAT32 else 2**-8
    for actual, expected in zip(summed.variables, plain.variables):
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), atol=tolerance)
    loss = expected_logs[-1]["loss"]
    assert logs[-1]["loss"] == pytest.approx(loss, rel=4 * tolerance)


def test_a_host_pulls_once_and_pushes_once():
    """Counts the tensors in the graph that pass between devices."""
    with tf.device("/CPU:0"):
        masters = [tf.Variable(tf.ones([2])), tf.Variable(tf.ones([3]))]
    hosts = TransferOptions(host_of=HOSTS.get).hosts(DEVICES)
    assert hosts == [["/CPU:1", "/CPU:3"], ["/CPU:2"]]
    exchange = Exchange(masters, DEVICES, hosts, tf.bfloat16)

    @tf.function
    def step():
        pulled = exchange.pull()
        parts = []
        for device, values in zip(DEVICES, pulled):
            with tf.device(device):
                parts.append([value + value for value in values])
        return exchange.push(parts)[0]

    graph = step.get_concrete_function().graph
    crossing = {
        (_number(tensor.device), _number(op.device), tensor.ref())
        for op in graph.get_operations()
        for tensor in op.inputs
        if op.device and tensor.device and op.device != tensor.device
    }
    ways = sorted((source, target) for source, target, _ in crossing)
    # Two variables each: from the server to 1 and 2, from 1 to 3, and back.
    expected = [(0, 1), (0, 2), (1, 3), (3, 1), (1, 0), (2, 0)]
    assert ways == sorted(expected * 2)
    assert {t.deref().dtype for s, g, t in crossing} == {tf.bfloat16}
    np.testing.assert_allclose(step()[0].numpy(), [6.0, 6.0])


def _number(device):
    return int(device.rsplit(":", 1)[1])


def _sharing(calls):
    """Returns a workload with one model for all replicas; `calls` grows with each trace."""
    network, pattern = Network(("a",)), Network(("a",))
    made = workload(network, "a")

    def objective(inputs, seed):
        calls.append(inputs.dtype)
        return pattern.objective("a", inputs, False)

    model = Model(
        objective, [pattern.shared, pattern.heads["a"]], [pattern.moving_mean]
    )

    def make_replica(index, count):
        return dataclasses.replace(made.make_replica(index, count), model=model)

    return network, dataclasses.replace(made, make_replica=make_replica)


def test_replicas_of_one_model_are_traced_once_for_each_batch_size():
    calls = []
    network, made = _sharing(calls)
    group = Group(made, devices=DEVICES)
    for _ in range(3):
        group.step()
    assert len(calls) == 2  # Parts of 2, 1 and 1.
    expected = Network(("a",))
    single = Group(workload(expected, "a"))
    for _ in range(3):
        single.step()
    for actual, other in zip(network.variables, expected.variables):
        np.testing.assert_allclose(actual.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)


def test_a_new_generation_traces_only_what_is_new():
    calls = []
    _, made = _sharing(calls)
    group = Group(made, devices=DEVICES[:2])
    group.step()
    group.end_generation()
    group.rebuild(DEVICES[:2])
    group.step()
    assert len(calls) == 1 and group.steps == 2
