import numpy as np
import pytest
import tensorflow as tf
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


@pytest.mark.parametrize("size", [(100, 130), (400, 300), (900, 1100)])
def test_area_keeps_the_aspect(everywhere, size):
    resized = everywhere(
        lambda x: resize.resize_to_area(x, 40_000, 120), _smooth(*size)
    )
    height, width = resized.shape[:2]
    assert height * width == pytest.approx(40_000, rel=0.01)
    assert height / width == pytest.approx(size[0] / size[1], rel=0.02)


def test_area_gives_way_to_the_least_side(everywhere):
    resized = everywhere(lambda x: resize.resize_to_area(x, 4000, 50), _smooth(20, 80))
    assert resized.shape == (50, 200, 3)


def test_limit_aspect(everywhere):
    cut = everywhere(lambda x, s: resize.limit_aspect(x, 4, s), _smooth(9, 90), [1, 2])
    assert cut.shape == (9, 36, 3)
    same = everywhere(lambda x, s: resize.limit_aspect(x, 4, s), _smooth(9, 30), [1, 2])
    assert same.shape == (9, 30, 3)


def test_random_square_is_somewhere_in_the_image_and_sometimes_mirrored(everywhere):
    image = _smooth(40, 80)

    def cut(photo, seed):
        return resize.random_square(photo, 40, seed)

    squares = [cut(image, [5, n]).numpy() for n in range(12)]
    squares.append(everywhere(cut, image, [5, 12]))
    found = set()
    for square in squares:
        for mirrored in (False, True):
            upright = square[:, ::-1] if mirrored else square
            for left in range(41):
                if np.array_equal(upright, image[:, left : left + 40]):
                    found.add((left, mirrored))
    assert len(found) >= 10
    assert {mirrored for _, mirrored in found} == {False, True}


def test_random_square_of_a_panorama():
    panorama = tf.zeros([10, 4000, 3], tf.uint8)
    assert resize.random_square(panorama, 32, [0, 0]).shape == (32, 32, 3)
