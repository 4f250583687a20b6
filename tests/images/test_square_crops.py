import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import device_resize, square_crops

SIZE = 32


def _smooth(height, width):
    y, x = np.mgrid[:height, :width]
    planes = [255 * (y + 0.5) / height, 255 * (x + 0.5) / width, 0 * x + 90]
    return np.stack(planes, axis=-1).astype(np.uint8)


def _batched(cuts):
    return {key: tf.stack([cut[key] for cut in cuts]) for key in cuts[0]}


def _resized(encoded, seed=(0, 1)):
    return device_resize.resize_canvases(
        _batched([square_crops.random_square(encoded, SIZE, list(seed))]), SIZE
    )[0]


@pytest.mark.parametrize("encode", [tf.io.encode_png, tf.io.encode_jpeg])
@pytest.mark.parametrize(
    ("height", "width"),
    [
        (32, 32),
        (33, 50),
        (48, 60),
        (49, 60),
        (64, 64),
        (65, 65),
        (150, 300),
        (520, 700),
        (16, 30),
        (16, 900),
    ],
)
def test_the_result_shows_the_whole_square(everywhere, encode, height, width):
    """The red of a row is its height in the photo, for all sizes and formats."""
    encoded = encode(_smooth(height, width))
    cut = everywhere(
        lambda photo, seed: square_crops.random_square(photo, SIZE, seed),
        encoded,
        [0, 1],
    )
    assert cut["canvas"].shape == (48, 48, 3)
    assert cut["extent"][0] == cut["extent"][1]
    picture = device_resize.resize_canvases(_batched([cut]), SIZE)[0].numpy()
    rows = (np.arange(SIZE) + 0.5) / SIZE
    np.testing.assert_allclose(picture[:, SIZE // 2, 0], rows, atol=0.08)
    assert picture.min() >= 0 and picture.max() <= 1
    columns = np.diff(picture[SIZE // 2, :, 1])
    assert (columns > -0.02).all()
    assert columns.sum() == pytest.approx(min(height, width) / width, abs=0.1)


def test_squares_are_anywhere_in_the_photo():
    encoded = tf.io.encode_png(_smooth(SIZE, 2 * SIZE))
    lefts = {float(_resized(encoded, (5, n))[0, 0, 1]) for n in range(30)}
    assert len(lefts) > 10
    assert min(lefts) < 0.1 and max(lefts) > 0.35


def test_a_large_jpeg_looks_like_its_exact_reduction():
    image = _smooth(1100, 1100)
    exact = tf.image.resize(image, [SIZE, SIZE], method="area") / 255
    resized = _resized(tf.io.encode_jpeg(image, quality=95))
    np.testing.assert_allclose(resized, exact, atol=0.03)


def test_mirroring_keeps_pictures_and_masks_together():
    images = tf.random.stateless_uniform([16, 4, 6, 3], [1, 2])
    first, second = square_crops.random_mirror([images, images[..., :1] * 2], [3, 4])
    np.testing.assert_array_equal(first[..., :1] * 2, second)
    same = [np.array_equal(a, b) for a, b in zip(first, images)]
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(first, images)]
    assert all(a != b for a, b in zip(same, turned))
    assert 2 < sum(turned) < 14
