import numpy as np
import skimage.color

from selfsup.images import color


def test_lab_is_that_of_scikit_image(everywhere, images):
    expected = skimage.color.rgb2lab(images)
    np.testing.assert_allclose(
        everywhere(color.rgb_to_lab, images), expected, atol=1e-3
    )


def test_lab_to_rgb_inverts(everywhere, images):
    lab = skimage.color.rgb2lab(images).astype(np.float32)
    np.testing.assert_allclose(everywhere(color.lab_to_rgb, lab), images, atol=1e-4)


def test_colors_out_of_the_gamut_are_clipped(everywhere):
    rgb = everywhere(color.lab_to_rgb, np.float32([[[[50, 100, -100]]]]))
    assert rgb.min() >= 0 and rgb.max() <= 1


def test_harmonized_images_are_lightness_three_times(everywhere, images):
    harmonized = everywhere(color.harmonize, images)
    lightness = skimage.color.rgb2lab(images)[..., 0] / 100
    for channel in range(3):
        np.testing.assert_allclose(harmonized[..., channel], lightness, atol=1e-4)


def test_harmonized_range_is_exact(everywhere):
    black_and_white = np.stack([np.zeros((4, 4, 3)), np.ones((4, 4, 3))])
    harmonized = everywhere(color.harmonize, black_and_white.astype(np.float32))
    assert harmonized[0].max() == 0 and 0.9999 < harmonized[1].min() <= 1


def test_color_dropping_keeps_one_channel(everywhere, images):
    many = np.tile(images, (10, 1, 1, 1))
    dropped = everywhere(color.drop_colors, many, np.int32([3, 4]))
    kept = np.all(dropped == many, axis=(1, 2))
    np.testing.assert_array_equal(kept.sum(axis=-1), 1)
    assert set(kept.argmax(axis=-1)) == {0, 1, 2}
    for image, channel in zip(dropped, kept.argmax(axis=-1)):
        noise = np.delete(image, channel, axis=-1)
        # A hundredth of the kept channel's deviation, around mid-gray.
        assert abs(noise.mean() - 0.5) < 1e-3
        ratio = noise.std() / image[..., channel].std()
        assert 0.007 < ratio < 0.013
    assert np.ptp(kept.argmax(axis=-1)) > 0


def test_color_dropping_depends_on_the_seed_alone(images):
    first = color.drop_colors(images, [1, 2])
    np.testing.assert_array_equal(first, color.drop_colors(images, [1, 2]))
    assert np.any(first != color.drop_colors(images, [1, 3]))
