"""Pooling, scales and rows of the frozen features."""

import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear.config import Config
from eval.imagenet_linear.features import FrozenFeatures
from eval.imagenet_linear.pooling import max_pool_to
from selfsup.common import overrides
from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig

IMAGES = np.random.default_rng(0).random([6, 48, 48, 3], np.float32)


def _slow_pool(net, cells, window, stride):
    batch, _, _, channels = net.shape
    pooled = np.empty([batch, cells, cells, channels], np.float32)
    for y in range(cells):
        for x in range(cells):
            top, left = y * stride, x * stride
            part = net[:, top : top + window, left : left + window]
            pooled[:, y, x] = part.max(axis=(1, 2))
    return pooled


@pytest.mark.parametrize(
    ("side", "window", "stride"),
    [(14, 6, 4), (7, 3, 2), (4, 2, 1), (3, 1, 1), (9, 3, 3)],
)
def test_windows_are_equal_and_cover_the_map(side, window, stride):
    net = np.random.default_rng(side).normal(size=[2, side, side, 5])
    net = net.astype(np.float32)
    assert 2 * stride + window == side
    pooled = max_pool_to(tf.constant(net), 3)
    np.testing.assert_array_equal(pooled, _slow_pool(net, 3, window, stride))
    mirrored = max_pool_to(tf.constant(net[:, :, ::-1]), 3)
    np.testing.assert_array_equal(mirrored, pooled[:, :, ::-1])


@pytest.fixture(scope="module")
def trunk():
    keras.utils.set_random_seed(3)
    return ResNetV2(TrunkConfig(depth="tiny", output_stride=16))


def _features(trunk, lasso=0.0, **changes):
    config = Config(image_size=48, **changes)
    made = FrozenFeatures(trunk, config, lasso)
    made.measure([IMAGES[:4], IMAGES[4:]])
    return made


@pytest.fixture(scope="module")
def probed(trunk):
    """(`FrozenFeatures` of all units, those of `IMAGES`)."""
    made = _features(trunk, probe_units=True)
    return made, made(IMAGES).numpy()


def test_features_are_standardised_and_of_unit_size(trunk, probed):
    _, features = probed
    assert features.shape == (5, 6, 9 * trunk.channels)
    np.testing.assert_allclose(np.sum(features**2, axis=2).mean(axis=1), 1.0, rtol=1e-3)
    channels = features.reshape(5, 6, 9, -1).mean(axis=(1, 2))
    np.testing.assert_allclose(channels, 0.0, atol=1e-5)


def test_the_last_row_is_the_last_unit_with_and_without_probes(trunk, probed):
    plain, (made, features) = _features(trunk), probed
    assert plain.names == ["unit_5"]
    assert made.names == [f"unit_{number}" for number in range(1, 6)]
    np.testing.assert_allclose(plain(IMAGES)[-1], features[-1], atol=1e-6)


def test_the_lassos_combinations_are_the_last_groups(trunk):
    made = _features(trunk, 0.1, probe_units=True, learning_rates=(1.0, 3.0))
    assert made.names == [*(f"unit_{n}" for n in range(1, 6)), "combination"]
    assert FrozenFeatures(trunk, Config(), 0.1).names == ["combination"]
    units = trunk.unit_outputs(IMAGES)
    mixed = max_pool_to(sum(units) / 5**0.5, 3).numpy().reshape(6, 9, -1)
    deviation = np.sqrt(mixed.var(axis=(0, 1)) + 1e-5)
    expected = (mixed - mixed.mean(axis=(0, 1))) / deviation / made.size**0.5
    features = made(IMAGES).numpy()
    assert features.shape == (7, 6, made.size)
    for group in (5, 6):
        np.testing.assert_allclose(
            features[group].reshape(expected.shape), expected, atol=1e-5
        )
    np.testing.assert_array_equal(made.evaluation_row(features, 1), features[6])


def test_probes_beside_the_lasso_are_those_without(trunk, probed):
    made = _features(trunk, 0.1, probe_units=True)
    np.testing.assert_allclose(made(IMAGES)[:5], probed[1], atol=1e-6)


def test_features_that_are_not_finite_are_an_error(trunk):
    made = _features(trunk)
    bias = trunk.block3[-1].conv3.bias
    kept = bias.numpy()
    bias.assign(np.full_like(kept, np.inf))
    try:
        with pytest.raises(UserError, match="not finite"):
            made.measure([IMAGES])
    finally:
        bias.assign(kept)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 32}, "2 cells at output stride 16, which cannot be pooled to"),
        ({"output_stride": 32}, "output_stride=32: expected 8 or 16"),
        ({"cache_features": True}, "needs augment=false"),
        ({"alpha_learning_rate": 0.0}, "alpha_learning_rate=0.0: expected more than 0"),
        ({"learning_rates": ()}, r"learning_rates=\[\]: expected positive numbers"),
        ({"learning_rates": (0.0, 1.0)}, r"=\[0.0, 1.0\]: expected positive numbers"),
        ({"learning_rates": (3.0, 1.0)}, "in increasing order"),
        ({"learning_rates": (1.0, "3")}, "expected positive numbers"),
        ({"learning_rates": (1.0, np.inf)}, "expected positive numbers"),
        (
            {"held_out_share": 0.0},
            "no photos would be left to choose among the learning",
        ),
        ({"held_out_share": 0.6}, "held_out_share=0.6: expected 0.0 to 0.5"),
        ({"min_crop_area": 0.0}, r"min_crop_area=0.0: expected 0.001 to 1.0"),
        ({"neighbours": -1}, "neighbours=-1: expected 0 to"),
    ],
)
def test_bad_hyperparameters_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


def test_the_ladder_is_given_on_the_command_line():
    made = overrides.apply(Config(), ["learning_rates=[1, 3.5]"], "set")
    assert made.learning_rates == (1, 3.5)
    for text in ("3", "fast", "{}"):
        with pytest.raises(UserError, match=r"^set=learning_rates="):
            overrides.apply(Config(), [f"learning_rates={text}"], "set")
