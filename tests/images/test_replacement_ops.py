"""Compares the replacements of TensorFlow Addons and I/O with the originals."""

import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import color, exemplar_augmentation, lab, projection


@pytest.fixture
def original_color():
    return pytest.importorskip("tensorflow_io").experimental.color


def test_installed_originals_are_used():
    pinned = tf.__version__.startswith("2.15.")
    assert (projection.transform is not projection.transform_by_op) == pinned
    assert (color._lab is not lab) == pinned


@pytest.mark.parametrize("fill_mode", ["reflect", "constant"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_transform_is_that_of_addons(rng, fill_mode, interpolation):
    original = pytest.importorskip("tensorflow_addons").image.transform
    images = rng.random((6, 40, 50, 3), np.float32)
    centres = (rng.random((6, 2)) * [50, 40]).astype(np.float32)
    warps = exemplar_augmentation.draw_warps(centres, 24, [1, 2])
    settings = {
        "interpolation": interpolation,
        "fill_mode": fill_mode,
        "output_shape": [24, 30],
    }
    np.testing.assert_array_equal(
        projection.transform_by_op(images, warps, **settings),
        original(images, warps, **settings),
    )


def _all_colors():
    """Returns a grid over the sRGB cube, corners included: float32 [1, 1089, 33, 3]."""
    steps = np.linspace(0, 1, 33, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1)
    return grid.reshape(1, 33 * 33, 33, 3)


def test_lab_is_that_of_tensorflow_io(original_color):
    colors = _all_colors()
    np.testing.assert_allclose(
        lab.rgb_to_lab(colors), original_color.rgb_to_lab(colors), rtol=0, atol=2e-4
    )


def test_rgb_is_that_of_tensorflow_io(original_color, rng):
    """Some of the colours are outside the gamut."""
    low, high = np.float32([0, -110, -110]), np.float32([100, 110, 110])
    values = low + (high - low) * rng.random((1, 200, 200, 3), np.float32)
    np.testing.assert_allclose(
        lab.lab_to_rgb(values), original_color.lab_to_rgb(values), rtol=0, atol=1e-4
    )


def test_the_replacement_of_lab_inverts(everywhere):
    colors = _all_colors()
    converted = everywhere(lab.rgb_to_lab, colors)
    restored = everywhere(lab.lab_to_rgb, converted)
    np.testing.assert_allclose(restored, colors, atol=1e-4)
