"""Trunks with the weights of `keras.applications` against those networks themselves."""

from __future__ import annotations

import numpy as np
import pytest

from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk import REGISTRY, build_trunk, trunk_class
from selfsup.trunk.keras_weights import import_weights
from selfsup.trunk.trunk import TrunkConfig

applications = keras.applications
# (kind, depth): (constructor, its preprocessing, layer of our output, its stride).
NETWORKS = {
    ("vgg", "16"): (applications.VGG16, applications.vgg16, "block5_conv3", 16),
    ("vgg", "19"): (applications.VGG19, applications.vgg19, "block5_conv4", 16),
    ("densenet", "121"): (
        *(applications.DenseNet121, applications.densenet),
        *("conv5_block16_concat", 32),
    ),
    ("densenet", "169"): (
        *(applications.DenseNet169, applications.densenet),
        *("conv5_block32_concat", 32),
    ),
    ("densenet", "201"): (
        *(applications.DenseNet201, applications.densenet),
        *("conv5_block32_concat", 32),
    ),
}
# Trainable parameters of the networks without their classifiers.
PARAMETERS = {
    ("vgg", "16"): 14_714_688,
    ("vgg", "19"): 20_024_384,
    # Without the last normalisation, which is the tail's.
    ("densenet", "121"): 6_953_856 - 2 * 1024,
}
SLOW = {("vgg", "19"), ("densenet", "169"), ("densenet", "201")}


def _with_marks(networks):
    return [
        pytest.param(*each, marks=[pytest.mark.slow] if each in SLOW else [])
        for each in networks
    ]


def _reference(make, path):
    """A network with random weights, biases and statistics, and a file of them."""
    keras.utils.set_random_seed(0)
    network = make(weights=None, include_top=False)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        layer.set_weights(
            [
                value + rng.uniform(0.0, 0.02, value.shape)
                if value.ndim == 1
                else value
                for value in layer.get_weights()
            ]
        )
    network.save_weights(path)
    return network


@pytest.mark.parametrize(("kind", "depth"), _with_marks(NETWORKS))
def test_outputs_equal_those_of_keras(kind, depth, tmp_path):
    make, module, layer, stride = NETWORKS[kind, depth]
    path = tmp_path / "weights.h5"
    network = _reference(make, path)
    trunk = build_trunk(TrunkConfig(kind=kind, depth=depth))
    if (kind, depth) in PARAMETERS:
        count = sum(int(np.prod(v.shape)) for v in trunk.trainable_variables)
        assert count == PARAMETERS[kind, depth]
    import_weights(path, trunk)
    images = np.random.default_rng(1).random((2, 64, 96, 3), np.float32)
    outputs = keras.Model(network.input, network.get_layer(layer).output)
    expected = outputs(module.preprocess_input(255 * images))
    features = trunk.unit_outputs(images, output_stride=stride)[-1]
    assert np.max(np.abs(expected)) > 0.1
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", REGISTRY)
def test_every_variable_is_imported_or_none(kind):
    trunk = build_trunk(TrunkConfig(kind=kind, depth="tiny"))
    layers = trunk.keras_layers()
    if layers:
        imported = {id(v) for layer in layers.values() for v in layer.variables}
        assert imported == {id(variable) for variable in trunk.variables}
        assert kind in {known for known, _ in NETWORKS}


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "weights.h5"
    trunk = build_trunk(TrunkConfig(kind="vgg", depth="tiny"))
    before = trunk.get_weights()
    with pytest.raises(UserError, match=r"weights\.h5: cannot be read as weights"):
        import_weights(path, trunk)
    inputs = keras.Input([None, None, 3])
    convs = [keras.layers.Conv2D(3, 3, name=name) for name in trunk.keras_layers()]
    keras.Model(inputs, convs[0](inputs)).save_weights(path)
    with pytest.raises(UserError, match=r"no weights of 6 layers .* block2_conv1"):
        import_weights(path, trunk)
    net = inputs
    for conv in convs:
        net = conv(net)
    keras.Model(inputs, net).save_weights(path)
    with pytest.raises(UserError, match=r"block1_conv1 has shapes .*3, 3, 3, 12"):
        import_weights(path, trunk)
    for value, other in zip(before, trunk.get_weights()):
        np.testing.assert_array_equal(value, other)
    resnet = trunk_class("resnet_v2")(TrunkConfig("tiny"))
    with pytest.raises(UserError, match=r"resnet_v2 have no counterpart"):
        import_weights(path, resnet)
