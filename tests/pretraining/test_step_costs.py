"""Equal cost means equal computation, for every task."""

import numpy as np
import pytest
import tensorflow as tf

from selfsup import tasks
from selfsup.common.errors import UserError
from selfsup.pretraining import configuration, multiply_adds, step_costs
from selfsup.pretraining.network import build_network, example_specs
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig


def counted(preset, name, batch_size=2):
    """The network, and the multiply-adds and the cost of an example's forward pass."""
    overrides = ["imagenet_labels.classes=1000"] if name == "imagenet_labels" else []
    config = configuration.resolve(preset, [name], task_overrides=overrides)
    network = build_network(config)
    graph = network.build(name, example_specs(network.tasks[name], batch_size))
    forward = multiply_adds.count(graph) / batch_size
    (cost,) = step_costs.step_costs(
        config.costs, {name: 0.0}, {name: 1}, {name: forward}
    ).values()
    return network, forward, cost


def kernel_products(network, images_shape, stride):
    """Multiply-adds of the trunk's convolutions, computed from the kernels' shapes."""
    _, height, width, _ = images_shape
    total, sides = 0, (height // 2, width // 2)
    total += np.prod(sides) * np.prod(network.conv1.kernel.shape)
    sides = [-(-side // 2) for side in sides]
    current = 4
    for block in (network.block1, network.block2, network.block3):
        for unit in block:
            last = unit is block[-1] and current < stride
            after = [-(-side // 2) for side in sides] if last else sides
            for layer in unit.submodules:
                kernel = getattr(layer, "kernel", None)
                if kernel is None or len(kernel.shape) != 4:
                    continue
                reduced = layer.name in ("conv2", "conv3", "shortcut")
                places = np.prod(after if reduced else sides)
                total += places * np.prod(kernel.shape)
            sides = after
        current *= 2 if current < stride else 1
    return images_shape[0] * total


@pytest.mark.parametrize("stride", [8, 16])
def test_the_count_agrees_with_the_shapes_of_the_kernels(stride):
    trunk = ResNetV2(TrunkConfig(depth="tiny"))
    shape = (2, 64, 96, 3)

    def forward(images):
        return trunk(images, output_stride=stride)

    graph = tf.function(forward).get_concrete_function(tf.TensorSpec(shape)).graph
    expected = kernel_products(trunk, shape, stride)
    assert multiply_adds.count(graph) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", sorted(tasks.REGISTRY))
def test_a_task_costs_what_it_computes(name):
    _, forward, cost = counted("tiny", name)
    seconds = 3600 * cost / (3 * forward)
    # Colorization at the paper's sizes: 90 hours for 1,281,167 photos.
    expected = 90 * 3600 / (3 * 64.46e9 * 1_281_167)
    assert seconds == pytest.approx(expected, rel=0.1)


def test_a_graph_without_products_is_an_error():
    graph = tf.function(lambda: tf.zeros([2])).get_concrete_function().graph
    with pytest.raises(ValueError, match="no convolution and no matrix product"):
        multiply_adds.count(graph)


def test_products_of_every_kind_are_counted_or_refused():
    def products(a, b, image, kernel):
        depthwise = tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], "VALID")
        return tf.matmul(a, b, transpose_a=True), tf.matmul(a[None], a[None]), depthwise

    shapes = ([5, 5], [5, 3], [1, 8, 8, 4], [3, 3, 4, 2])
    specs = [tf.TensorSpec(shape) for shape in shapes]
    graph = tf.function(products).get_concrete_function(*specs).graph
    expected = 5 * 5 * 3 + 5 * 5 * 5 + (6 * 6 * 4 * 2) * 9
    assert multiply_adds.count(graph) == expected

    def einsum(a, b):
        return tf.einsum("ij,jk->ik", a, b)

    graph = tf.function(einsum).get_concrete_function(*specs[:2]).graph
    with pytest.raises(ValueError, match="Einsum cannot be counted"):
        multiply_adds.count(graph)
    unknown = [tf.TensorSpec([None, 5]), specs[1]]
    graph = tf.function(tf.matmul).get_concrete_function(*unknown).graph
    with pytest.raises(ValueError, match="output is not static"):
        multiply_adds.count(graph)


def test_a_given_cost_replaces_the_counted_cost():
    forward = {"a": 1e9, "b": 2e9}
    sizes = {"a": 4, "b": 2}
    costs = step_costs.step_costs("multiply_adds", {"a": 7.0, "b": 0.0}, sizes, forward)
    assert costs == {"a": 7.0, "b": 2 * step_costs.k40_hours(2e9)}
    assert step_costs.step_costs("measured", {"a": 0, "b": 0}, sizes, forward) == {}


def test_the_papers_hours_are_for_the_papers_tasks():
    for name, hours in (("relative_position", 350), ("exemplar", 60)):
        epoch = step_costs.IMAGENET_PHOTOS * step_costs.paper_example_cost(name)
        assert epoch == pytest.approx(hours)
    given, sizes = {"rotation": 0.0}, {"rotation": 2}
    with pytest.raises(UserError, match=r"^costs=paper: .* rotation.*step_cost=HOURS"):
        step_costs.step_costs("paper", given, sizes, {"rotation": 1.0})


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(tasks.REGISTRY))
def test_costs_at_the_papers_sizes(name):
    _, forward, cost = counted("paper", name)
    epoch = step_costs.IMAGENET_PHOTOS * cost
    print(f"{name}: {forward / 1e9:.2f} G multiply-adds, {epoch:.1f} hours per epoch")
    assert cost == step_costs.k40_hours(forward)
    if name == "colorization":
        assert forward == pytest.approx(step_costs._COLORIZATION_FORWARD, rel=1e-3)
        assert epoch == pytest.approx(90, rel=1e-3)
