import numpy as np
import tensorflow as tf

from selfsup.images import down_up_sampling


def test_matrices_do_what_two_resizes_do(rng):
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


def test_some_images_lose_resolution_and_the_rest_are_untouched(everywhere, rng):
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
