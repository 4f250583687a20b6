import numpy as np
import pytest
from skimage import transform

from selfsup.images import resize


def _smooth(height, width):
    y, x = np.mgrid[:height, :width]
    image = np.stack([255 * y / height, 255 * x / width, 0 * x + 90], axis=-1)
    return image.astype(np.uint8)


def test_resize_agrees_with_scikit_image(everywhere):
    image = _smooth(90, 130)
    small = everywhere(lambda x: resize.resize(x, 30, 40), image)
    assert small.dtype == np.uint8
    expected = transform.resize(
        image.astype(float), (30, 40), order=1, anti_aliasing=True, mode="edge"
    )
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(small[inner], expected[inner], atol=2)


def test_shrinking_is_anti_aliased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize.resize(stripes, 16, 16).numpy()
    assert abs(small.astype(int) - 127).max() < 16


@pytest.mark.parametrize("size", [(100, 300), (300, 100), (7, 5), (64, 64), (1, 9)])
def test_shorter_side(everywhere, size):
    resized = everywhere(lambda x: resize.resize_shorter_side(x, 64), _smooth(*size))
    assert min(resized.shape[:2]) == 64
    aspect = max(size) / min(size)
    assert max(resized.shape[:2]) == pytest.approx(64 * aspect, abs=1)


def test_the_same_size_changes_nothing(everywhere, rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    same = everywhere(lambda x: resize.resize(x, 20, 30), image)
    np.testing.assert_array_equal(same, image)


@pytest.mark.parametrize("size", [(60, 80), (10, 200), (15, 40), (90, 20), (33, 77)])
def test_gray_stays_gray_and_the_mean_stays(everywhere, rng, size):
    gray = np.repeat(rng.integers(0, 256, (30, 40, 1), np.uint8), 3, axis=-1)
    resized = everywhere(lambda x: resize.resize(x, *size), gray)
    assert resized.shape == (*size, 3) and resized.dtype == np.uint8
    np.testing.assert_array_equal(resized, resized[..., :1].repeat(3, axis=-1))
    assert resized.mean() == pytest.approx(gray.mean(), abs=6)


def test_random_corners_reach_all_places():
    corners = {
        tuple(int(edge) for edge in resize.random_corner(1, 2, [0, n]))
        for n in range(60)
    }
    assert corners == {(y, x) for y in range(2) for x in range(3)}
