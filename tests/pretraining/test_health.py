"""Dead units and the size of updates, on layers without any code for it."""

import re

import numpy as np
import pytest
import tensorflow as tf
from mock_tasks import FULL_RATE, Network, workload

from selfsup.hybrid import aggregation
from selfsup.keras import keras
from selfsup.pretraining.dead_units import ReluOutputs
from selfsup.pretraining.health import Health, update_norms
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig


def _dead_units(function, *arguments):
    """The dead units of a traced function of tensors, by layer."""

    @tf.function
    def traced(*tensors):
        # Before the block, so these ReLUs are not counted.
        tensors = [tf.nn.relu(tensor - 1e9) + tensor for tensor in tensors]
        with ReluOutputs() as relus:
            function(*tensors)
        tf.nn.relu(tensors[0])
        return relus.dead_units()

    result = traced(*[tf.constant(argument) for argument in arguments])
    return {layer: units.numpy() for layer, units in result.items()}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_dead_units_are_those_that_are_zero_at_every_position(policy):
    """On Keras layers inside a model, against NumPy."""
    random = np.random.default_rng(0)
    dense = keras.layers.Dense(6, activation="relu", dtype=policy, name="dense")
    conv = keras.layers.Conv2D(5, 1, dtype=policy, name="conv")
    model = keras.Sequential([conv, keras.layers.ReLU(), dense], name="head")
    images = random.normal(size=(2, 3, 3, 4)).astype(np.float32)
    model(images)
    conv.bias.assign([0.0, -100.0, 0.0, -100.0, 0.0])
    dense.bias.assign([0.0, 0.0, -100.0, 0.0, 0.0, 100.0])
    result = _dead_units(model, images)
    hidden = np.maximum(images @ conv.kernel.numpy()[0, 0] + conv.bias.numpy(), 0)
    outputs = np.maximum(hidden @ dense.kernel.numpy() + dense.bias.numpy(), 0)
    expected = {"head/conv": hidden, "head/dense": outputs}
    assert set(result) == set(expected)
    for layer, values in expected.items():
        np.testing.assert_array_equal(result[layer], values.max(axis=(0, 1, 2)) == 0)
    assert list(result["head/conv"]) == [False, True, False, True, False]
    assert not result["head/dense"][5]


def test_a_unit_of_a_layer_called_twice_is_dead_if_it_is_zero_both_times():
    layer = keras.layers.Dense(
        3, activation="relu", kernel_initializer=keras.initializers.Identity()
    )
    first = [[1.0, -1.0, -1.0]]
    second = [[-1.0, 1.0, -1.0]]
    (units,) = _dead_units(
        lambda left, right: (layer(left), layer(right)), first, second
    ).values()
    assert list(units) == [False, False, True]


def test_the_layers_of_the_trunk_have_distinct_names():
    trunk = ResNetV2(TrunkConfig(depth="tiny"))
    random = np.random.default_rng(0)
    images = random.uniform(size=(2, 32, 32, 3)).astype(np.float32)
    unit = trunk.block2[1]
    unit.norm1.beta.assign(tf.tensor_scatter_nd_update(unit.norm1.beta, [[3]], [-99.0]))
    result = _dead_units(lambda batch: trunk(batch, training=True), images)
    assert len(result) == 3 * (1 + 2 + 5)
    dead = {layer: list(np.flatnonzero(units)) for layer, units in result.items()}
    assert dead["trunk/block2/unit_2/norm1"] == [3]
    assert dead["trunk/block1/unit_1/preact"] == []
    assert {layer.split("/")[1] for layer in dead} == {"block1", "block2", "block3"}


@pytest.mark.parametrize(
    ("mode", "devices"),
    [
        ("hybrid", {"a": (), "bb": ()}),
        ("hybrid", {"a": ("/CPU:1", "/CPU:2"), "bb": ("/CPU:3",)}),
        ("sync", {"a": ("/CPU:1", "/CPU:2"), "bb": ("/CPU:3",)}),
        ("async", {"a": ("/CPU:1", "/CPU:2"), "bb": ("/CPU:3",)}),
    ],
)
def test_the_last_update_is_what_the_last_step_subtracted(mode, devices):
    network = Network(("a", "bb"))
    with tf.device("/CPU:2"):
        network.heads["a"] = tf.Variable(network.heads["a"])
    workloads = [workload(network, name) for name in network.heads]
    made = aggregation.MODES[mode](workloads, FULL_RATE, devices)
    updates = made.groups["a"].last_updates()
    assert [norm for norm, _ in update_norms(updates).values()] == [0.0]
    stepper = next(each for each in made.steppers if "a" in each.tasks)
    stepper.advance()
    before = [network.shared.numpy(), network.heads["a"].numpy()]
    stepper.advance()
    after = [network.shared.numpy(), network.heads["a"].numpy()]
    updates = made.groups["a"].last_updates()
    for (variable, update), old, new in zip(updates, before, after):
        np.testing.assert_array_equal(variable.numpy(), new)
        np.testing.assert_allclose(update.numpy(), old - new, rtol=1e-3, atol=1e-7)


def test_norms_are_of_kernels_by_layer():
    layer = keras.layers.Dense(3, name="layer")
    layer.build([None, 4])
    layer.kernel.assign(np.arange(12.0).reshape(4, 3))
    layer.bias.assign([1.0, 1.0, 1.0])
    update = tf.Variable(2 * np.ones((4, 3), np.float32))
    result = update_norms([(layer.kernel, update), (layer.bias, layer.bias)])
    (norms,) = result.values()
    np.testing.assert_allclose(norms, [np.sqrt(48), np.sqrt(506)], rtol=1e-6)
    assert update_norms([(layer.bias, layer.bias)]) == {}


def _health(dead=0, update=1e-3):
    return Health(
        {"trunk/a": (0, 30), "head/conv1": (dead, 10), "head/conv2": (0, 30)},
        {"trunk/a": (3e-3, 3.0), "head/conv1": (4 * update, 4.0), "head/b": (0.0, 3.0)},
    )


def test_trunk_and_head_are_summed_up():
    scalars = _health(dead=2).scalars()
    assert scalars["dead_units/trunk"] == 0.0
    assert scalars["dead_units/head"] == 2 / 40
    assert scalars["dead_units/head/conv1"] == 0.2
    assert scalars["update_ratio/trunk/a"] == 1e-3
    assert scalars["update_ratio/head"] == pytest.approx(4e-3 / 5)
    assert Health({}, {}).scalars() == {}


@pytest.mark.parametrize(
    ("health", "sign", "text"),
    [
        (_health(dead=3), "dead units", r"30% of the 10 units of head/conv1 are dead"),
        (
            _health(update=0.2),
            "large updates of the head",
            r"the weights of the head by 0\.16 of .* Try a lower",
        ),
        (
            _health(update=1e-8),
            "small updates of the head",
            "the weights of the head by 8e-09 of .* Try a higher",
        ),
    ],
)
def test_a_warning_names_the_problem_and_a_remedy(health, sign, text):
    setting = "task_set=a.learning_rate (now 0.1)"
    ((problem, warning),) = health.warnings(setting).items()
    assert problem == sign
    assert setting in warning
    assert re.search(text, warning)


def test_a_healthy_network_gives_no_warning():
    assert _health(dead=2).warnings("") == {}
    assert Health({}, {}).warnings("") == {}
