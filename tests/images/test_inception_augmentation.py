import colorsys

import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import inception_augmentation


def _crops(height, width, count, size=32):
    """Crops a photo whose red and green are its columns and rows: [N, s, s, 3]."""
    y, x = np.mgrid[:height, :width]
    photo = np.stack([x, y, 0 * x], -1).astype(np.uint8)
    encoded = tf.io.encode_png(photo)

    @tf.function
    def crops(seeds):
        return tf.map_fn(
            lambda seed: inception_augmentation.random_crop(encoded, size, seed),
            seeds,
            fn_output_signature=tf.uint8,
        )

    return crops(tf.stack([tf.range(count), 7 * tf.ones(count, tf.int32)], -1)).numpy()


def test_crops_have_the_published_areas_and_aspects_and_reach_everything():
    crops = _crops(120, 200, 400).astype(float)
    assert crops.shape == (400, 32, 32, 3)
    # First and last pixel centres are 31/32 of the side apart.
    width = (crops[:, 0, -1, 0] - crops[:, 0, 0, 0]) * 32 / 31
    height = (crops[:, -1, 0, 1] - crops[:, 0, 0, 1]) * 32 / 31
    area, aspect = width * height / (120 * 200), width / height
    # The full height at the widest aspect is 0.8 of this photo.
    assert 0.06 < area.min() < 0.12 and 0.7 < area.max() < 0.82
    assert 0.7 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.4
    assert crops[..., 0].min() <= 2 and crops[..., 0].max() >= 197
    assert crops[..., 1].min() <= 2 and crops[..., 1].max() >= 117


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 90), (90, 2)])
def test_crops_of_narrow_photos(height, width):
    assert _crops(height, width, 3, size=8).shape == (3, 8, 8, 3)


UNCHANGED = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def _factor(changed, images, base):
    """Returns the factor of each image between differences from `base`."""
    before, after = images - base, changed - base
    return np.sum(before * after, axis=(1, 2, 3)) / np.sum(before**2, axis=(1, 2, 3))


def test_contrast_moves_values_from_each_channels_mean(rng, everywhere):
    images = (0.3 + 0.4 * rng.random((100, 6, 5, 3))).astype(np.float32)
    options = {**UNCHANGED, "contrast": 0.5}
    changed = everywhere(
        lambda x, s: inception_augmentation.random_color(x, s, **options),
        images,
        [1, 2],
    )
    mean = images.mean(axis=(1, 2), keepdims=True)
    factors = _factor(changed, images, mean)
    expected = mean + (images - mean) * factors[:, None, None, None]
    np.testing.assert_allclose(changed, expected, atol=1e-4)
    assert 0.49 < factors.min() < 0.55 and 1.45 < factors.max() < 1.51


def test_saturation_is_multiplied(images, everywhere):
    options = {**UNCHANGED, "saturation": 0.5}
    changed = everywhere(
        lambda x, s: inception_augmentation.random_color(x, s, **options),
        images,
        [1, 2],
    )
    for changed_image, image in zip(changed, images):
        hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(-1, 3)]
        pixels = changed_image.reshape(-1, 3)
        saturations = [colorsys.rgb_to_hsv(*pixel)[1] for pixel in pixels]
        least = np.argmin([saturation for _, saturation, _ in hsv])
        factor = saturations[least] / hsv[least][1]
        assert 0.49 < factor < 1.51
        for pixel, (hue, saturation, value) in zip(pixels, hsv):
            expected = colorsys.hsv_to_rgb(hue, min(1.0, factor * saturation), value)
            np.testing.assert_allclose(pixel, expected, atol=1e-4)


def test_hues_rotate_within_the_range():
    red = np.tile(np.float32([1, 0, 0]), (200, 2, 2, 1))
    options = {**UNCHANGED, "hue": 0.2}
    changed = inception_augmentation.random_color(red, [3, 4], **options).numpy()
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in changed[:, 0, 0]])
    turned = (hues + 0.5) % 1 - 0.5
    assert -0.201 < turned.min() < -0.17 and 0.17 < turned.max() < 0.201


def test_brightness_differs_between_images():
    gray = np.full((200, 2, 2, 3), 0.5, np.float32)
    options = {**UNCHANGED, "brightness": 0.125}
    changed = inception_augmentation.random_color(gray, [3, 4], **options).numpy()
    shifts = changed[:, 0, 0, 0] - 0.5
    assert np.ptp(changed, axis=(1, 2, 3)).max() < 1e-4
    assert -0.1251 < shifts.min() < -0.11 and 0.11 < shifts.max() < 0.1251


def test_half_of_the_images_are_mirrored():
    ramp = np.tile(np.linspace(0.2, 0.8, 8)[None, None, :, None], (200, 4, 1, 3))
    changed = inception_augmentation.random_mirror(ramp, [5, 6]).numpy()
    mirrored = changed[:, 0, 0, 0] > 0.5
    expected = np.where(mirrored[:, None, None, None], ramp[:, :, ::-1], ramp)
    np.testing.assert_array_equal(changed, expected)
    assert 0.4 < mirrored.mean() < 0.6


def test_values_stay_in_range_and_the_order_varies(images):
    results = [
        inception_augmentation.random_color(images, [seed, 0]).numpy()
        for seed in range(8)
    ]
    for changed in results:
        assert changed.min() >= 0 and changed.max() <= 1
        assert np.all(np.isfinite(changed))
    again = inception_augmentation.random_color(images, [0, 0])
    np.testing.assert_array_equal(again, results[0])
    assert all(np.any(results[0] != other) for other in results[1:])
