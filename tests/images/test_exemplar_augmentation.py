import colorsys
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from selfsup.images import exemplar_augmentation


def test_similarity_places_centre_scale_and_angle():
    row = exemplar_augmentation._similarity(
        tf.constant([[30.0, 20.0]]), tf.constant([2.0]), tf.constant([0.3]), 11
    )[0].numpy()
    to_image = row[:6].reshape(2, 3)
    np.testing.assert_allclose(to_image @ [5, 5, 1], [30, 20], atol=1e-5)
    step = to_image @ [6, 5, 1] - [30, 20]
    assert np.hypot(*step) == pytest.approx(0.5, rel=1e-5)
    assert math.atan2(step[1], step[0]) == pytest.approx(0.3, rel=1e-5)


def _random_warp(images, centres, size, seed):
    warps = exemplar_augmentation.draw_warps(centres, size, seed)
    return exemplar_augmentation.warp(images, warps, size)


def _smooth_images(rng, count, size):
    noise = rng.random((count, size, size, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 4, 4, 0))
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) / (high - low)).astype(np.float32)


def test_warp_samples_like_scipy(everywhere, rng, monkeypatch):
    images = _smooth_images(rng, 2, 64)
    centres = np.float32([[32, 30], [28, 36]])
    fixed = {
        "TRANSLATION": 0.0,
        "SCALE": (1.25, 1.25),
        "ROTATION": 0.0,
    }
    for name, value in fixed.items():
        monkeypatch.setattr(exemplar_augmentation, name, value)
    patches = everywhere(
        lambda x, c, s: _random_warp(x, c, 21, s), images, centres, [1, 2]
    )
    offsets = (np.arange(21) - 10) / 1.25
    for patch, image, (x, y) in zip(patches, images, centres):
        rows, columns = np.meshgrid(y + offsets, x + offsets, indexing="ij")
        for channel in range(3):
            expected = ndimage.map_coordinates(
                image[..., channel], [rows, columns], order=1
            )
            np.testing.assert_allclose(patch[..., channel], expected, atol=1e-4)


def test_warps_stay_within_the_published_ranges():
    ramp = np.stack(np.meshgrid(np.arange(200.0), np.arange(200.0)), -1)
    # The pixels of the image are its coordinates, so patches tell the warp.
    image = np.concatenate([ramp, 0 * ramp[..., :1]], -1).astype(np.float32)
    images = np.tile(image, (300, 1, 1, 1))
    centres = np.full((300, 2), 100, np.float32)
    patches = _random_warp(images, centres, 41, [5, 6]).numpy()
    moved = patches[:, 20, 20, :2] - 100
    step = patches[:, 20, 21, :2] - patches[:, 20, 20, :2]
    scale = 1 / np.hypot(step[:, 0], step[:, 1])
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
    assert 7.5 < np.abs(moved).max() <= 0.2 * 41 + 1e-3
    assert 0.69 < scale.min() < 0.75 and 1.35 < scale.max() < 1.41
    assert 18 < np.abs(angle).max() <= 20.1
    assert abs(moved.mean()) < 0.5 and abs(angle.mean()) < 2


def test_warps_beyond_the_border_are_reflected(rng):
    images = 0.5 + 0.5 * _smooth_images(rng, 8, 32)
    corner = np.zeros((8, 2), np.float32)
    patches = _random_warp(images, corner, 16, [0, 1]).numpy()
    assert patches.min() >= 0.5


def test_the_visible_range_is_what_a_patch_reads():
    ramp = np.stack(np.meshgrid(np.arange(200.0), np.arange(200.0)), -1)
    image = np.concatenate([ramp, 0 * ramp[..., :1]], -1).astype(np.float32)
    centres = np.full((50, 2), 100, np.float32)
    warps = exemplar_augmentation.draw_warps(centres, 41, [5, 6])
    read = exemplar_augmentation.warp(np.tile(image, (50, 1, 1, 1)), warps, 41).numpy()[
        ..., :2
    ]
    low, high = exemplar_augmentation.visible_range(warps, 41)
    np.testing.assert_allclose(low, read.min(axis=(1, 2)), atol=1e-3)
    np.testing.assert_allclose(high, read.max(axis=(1, 2)), atol=1e-3)
    assert np.abs(read - 100).max() <= exemplar_augmentation.reach(41) - 1


def test_shifted_warps_read_the_same_from_a_crop(rng):
    images = _smooth_images(rng, 3, 120)
    warps = exemplar_augmentation.draw_warps(
        np.full((3, 2), 60, np.float32), 21, [1, 2]
    )
    part = images[:, 20:100, 30:90]
    shifted = exemplar_augmentation.shift_origin(warps, tf.constant([30.0, 20.0]))
    np.testing.assert_allclose(
        exemplar_augmentation.warp(part, shifted, 21),
        exemplar_augmentation.warp(images, warps, 21),
        atol=1e-4,
    )


def test_colors_stay_in_range_and_differ_between_images(everywhere, images):
    same = np.tile(images[:1], (6, 1, 1, 1))
    outputs = everywhere(exemplar_augmentation.random_color, same, np.int32([1, 2]))
    assert outputs.shape == same.shape and outputs.dtype == np.float32
    assert outputs.min() >= 0 and outputs.max() <= 1
    for first in range(6):
        for second in range(first):
            assert np.abs(outputs[first] - outputs[second]).max() > 0.05
    again = exemplar_augmentation.random_color(same, [1, 2])
    np.testing.assert_allclose(outputs, again, atol=1e-6)


def test_components_are_orthonormal_and_unit_factors_change_nothing(
    images, monkeypatch
):
    components = np.array(exemplar_augmentation._COMPONENTS)
    np.testing.assert_allclose(components.T @ components, np.eye(3), atol=2e-3)
    monkeypatch.setattr(exemplar_augmentation, "COMPONENT_FACTOR", (1.0, 1.0))
    outputs = exemplar_augmentation._random_components(images, [1, 2])
    np.testing.assert_allclose(outputs, images, atol=2e-3)


def test_hsv_jitter_by_loops(images, monkeypatch):
    monkeypatch.setattr(exemplar_augmentation, "POWER", (2.0, 2.0))
    monkeypatch.setattr(exemplar_augmentation, "FACTOR", (0.9, 0.9))
    monkeypatch.setattr(exemplar_augmentation, "OFFSET", (0.05, 0.05))
    outputs = exemplar_augmentation._random_hsv(images, [1, 2]).numpy()
    for place in list(np.ndindex(images.shape[:-1]))[::17]:
        hue, saturation, value = colorsys.rgb_to_hsv(*images[place].astype(float))
        expected = colorsys.hsv_to_rgb(
            (hue + 0.05) % 1,
            min(0.9 * saturation**2 + 0.05, 1),
            min(0.9 * value**2 + 0.05, 1),
        )
        np.testing.assert_allclose(outputs[place], expected, atol=1e-4)


def _tone_by_loops(image, contrast, power, factor, offset):
    """The curve of `random_tone` for one image, pixel by pixel."""
    mean = sum(float(value) for value in image.ravel()) / image.size
    result = np.empty_like(image)
    for index, value in np.ndenumerate(image):
        net = min(max(mean + contrast * (value - mean), 0.0), 1.0)
        result[index] = min(max(net**power * factor + offset, 0.0), 1.0)
    return result


def test_tone_is_one_curve_for_all_channels(rng, monkeypatch):
    images = rng.random((2, 5, 4, 3)).astype(np.float32)
    fixed = {
        "COMPONENT_FACTOR": (1.5, 1.5 + 1e-6),
        "POWER": (2.0, 2.0 + 1e-6),
        "FACTOR": (0.9, 0.9 + 1e-6),
        "OFFSET": (0.05, 0.05 + 1e-6),
    }
    for name, value in fixed.items():
        monkeypatch.setattr(exemplar_augmentation, name, value)
    toned = exemplar_augmentation.random_tone(images, tf.constant([1, 2]))
    expected = [_tone_by_loops(image, 1.5, 2.0, 0.9, 0.05) for image in images]
    np.testing.assert_allclose(toned, expected, atol=1e-5)


def test_gray_images_stay_gray_and_colours_change(rng):
    gray = np.repeat(rng.random((1, 8, 8, 1)), 3, axis=-1)
    images = np.concatenate([gray, rng.random((1, 8, 8, 3))]).astype(np.float32)
    changed = exemplar_augmentation.random_color_keeping_gray(
        images, tf.constant([3, 4])
    ).numpy()
    np.testing.assert_allclose(np.ptp(changed[0], axis=-1), 0.0, atol=1e-6)
    assert np.all(np.abs(changed - images).max(axis=(1, 2, 3)) > 0.05)
    colored = exemplar_augmentation.random_color(images, tf.constant([3, 4]))
    np.testing.assert_array_equal(changed[1], colored[1])
    assert changed.min() >= 0 and changed.max() <= 1


def test_views_are_warps_around_the_centre(rng, monkeypatch):
    images = _smooth_images(rng, 2, 32)
    monkeypatch.setattr(exemplar_augmentation, "TRANSLATION", 0.0)
    monkeypatch.setattr(exemplar_augmentation, "SCALE", (1.0, 1.0))
    monkeypatch.setattr(exemplar_augmentation, "ROTATION", 0.0)
    views = exemplar_augmentation.random_views(tf.constant(images), tf.constant([1, 2]))
    np.testing.assert_allclose(views, images, atol=1e-5)
