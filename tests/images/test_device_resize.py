import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import device_resize, resize

SIZE, CANVAS = 32, 64


def _image(height, width):
    random = np.random.default_rng(height * width)
    return random.integers(0, 256, (height, width, 3), np.uint8)


def _resize(everywhere, image):
    placed = everywhere(lambda x: device_resize.place_on_canvas(x, SIZE, CANVAS), image)
    assert placed["canvas"].shape == (CANVAS, CANVAS, 3)
    return placed, device_resize.resize_canvases(
        {k: v[None] for k, v in placed.items()}, SIZE
    )[0]


@pytest.mark.parametrize("shape", [(50, 50), (64, 64), (32, 61), (64, 33)])
def test_resizing_is_tensorflows_bilinear(everywhere, shape):
    """The image fits on the canvas; each side has its own factor."""
    image = _image(*shape)
    placed, resized = _resize(everywhere, image)
    np.testing.assert_array_equal(placed["extent"], shape)
    np.testing.assert_array_equal(placed["canvas"][: shape[0], : shape[1]], image)
    expected = tf.image.resize(image, [SIZE, SIZE]) / 255
    np.testing.assert_allclose(resized, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(31, 40), (40, 65), (10, 10), (200, 300), (20, 90)])
def test_other_images_are_resized_on_the_host(everywhere, shape):
    image = _image(*shape)
    placed, resized = _resize(everywhere, image)
    np.testing.assert_array_equal(placed["extent"], [SIZE, SIZE])
    expected = resize.resize(tf.constant(image), SIZE, SIZE) / 255
    np.testing.assert_allclose(resized, expected, atol=1e-4)


def test_an_image_of_the_right_size_is_unchanged(everywhere):
    image = _image(SIZE, SIZE)
    _, resized = _resize(everywhere, image)
    np.testing.assert_allclose(resized * 255, image, atol=0.02)


def test_images_of_a_batch_have_their_own_sizes(everywhere):
    images = [_image(40, 50), _image(60, 34)]
    placed = [_resize(everywhere, image)[0] for image in images]
    batch = {key: tf.stack([example[key] for example in placed]) for key in placed[0]}
    expected = [tf.image.resize(image, [SIZE, SIZE]) / 255 for image in images]
    resized = device_resize.resize_canvases(batch, SIZE)
    np.testing.assert_allclose(resized, tf.stack(expected), atol=1e-4)


def test_canvases_of_resized_images_give_the_same_images():
    images = np.random.default_rng(0).random((2, 24, 24, 3)).astype(np.float32)
    examples = device_resize.as_canvases(tf.constant(images))
    resized = device_resize.resize_canvases(examples, 24)
    np.testing.assert_allclose(resized, images, atol=0.5 / 255 + 1e-5)
