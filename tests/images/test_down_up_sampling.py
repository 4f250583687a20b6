import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import down_up_sampling


def test_a_matrix_equals_two_resizes(rng):
    table = down_up_sampling.resampling_table(24, 5)
    assert table.shape == (20, 24, 24) and table.dtype == np.float32
    image = rng.random((24, 24, 3), np.float32)
    for small in (5, 11, 23):
        shrunk = tf.image.resize(image, [small, small], antialias=True)
        expected = tf.image.resize(shrunk, [24, 24])
        matrix = table[small - 5]
        actual = np.einsum("ij,kl,jlc->ikc", matrix, matrix, image)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    np.testing.assert_allclose(table[-1], np.eye(24), atol=1e-6)


def test_some_images_lose_resolution_and_the_others_are_unchanged(everywhere, rng):
    images = rng.random((200, 16, 16, 3), np.float32)
    table = down_up_sampling.resampling_table(16, 4)
    outputs = everywhere(
        lambda x, s: down_up_sampling.random_down_up_sample(x, table, 0.33, s),
        images,
        np.int32([1, 2]),
    )
    changed = np.abs(outputs - images).max(axis=(1, 2, 3)) > 1e-3
    assert 0.2 < changed.mean() < 0.45
    np.testing.assert_allclose(outputs[~changed], images[~changed], atol=1e-5)
    assert outputs.min() > -1e-5 and outputs.max() < 1 + 1e-5
    detail = outputs.std(axis=(1, 2, 3))
    assert detail[changed].mean() < detail[~changed].mean()
    assert len(np.unique(detail[changed].round(3))) > 10


def test_flat_images_stay_flat():
    table = down_up_sampling.resampling_table(16, 4)
    flat = tf.fill([8, 16, 16, 3], 0.25)
    outputs = down_up_sampling.random_down_up_sample(flat, table, 1.0, [0, 1])
    np.testing.assert_allclose(outputs, flat, atol=1e-5)


def _sides_taken(size, smallest, count, seed):
    """Finds, from their pixels, the sides that equal images were shrunk to."""
    image = np.random.default_rng(0).random((size, size, 1), np.float32)
    table = down_up_sampling.resampling_table(size, smallest)
    candidates = np.einsum("sij,skl,jlc->sikc", table, table, image)
    outputs = down_up_sampling.random_down_up_sample(
        np.repeat(image[None], count, axis=0), table, 1.0, seed
    )
    errors = np.abs(outputs.numpy()[:, None] - candidates).max(axis=(2, 3, 4))
    assert errors.min(axis=1).max() < 1e-5
    return smallest + errors.argmin(axis=1)


def test_the_area_that_images_are_shrunk_to_is_uniform():
    """A side is as frequent as the areas between its square and the next are many."""
    sides = _sides_taken(16, 4, 3000, [3, 4])
    for side in range(17):
        share = 0.0
        for area in range(4**2, 15**2):
            share += (side**2 <= area < (side + 1) ** 2) / (15**2 - 4**2)
        assert np.mean(sides == side) == pytest.approx(share, abs=0.02), side


@pytest.mark.parametrize("smallest", [15, 16])
def test_a_single_size_is_possible(smallest):
    assert set(_sides_taken(16, smallest, 20, [1, 2])) == {smallest}
