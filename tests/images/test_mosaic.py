import numpy as np

from selfsup.images import mosaic


def test_grid_places_every_image():
    rows = [
        [np.full((3, 5, 3), 10 * (3 * y + x), np.uint8) for x in range(3)]
        for y in range(2)
    ]
    rows[1].pop()
    paper = mosaic.grid(rows, gap=2)
    assert paper.shape == (2 * 5 + 2, 3 * 7 + 2, 3)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = 2 + 5 * y, 2 + 7 * x
            np.testing.assert_array_equal(paper[top : top + 3, left : left + 5], image)
    assert np.all(paper[7:10, 16:21] == mosaic.PAPER) and np.all(paper[:2] == 255)


def test_frame_surrounds():
    framed = mosaic.frame(np.zeros((4, 6, 3), np.uint8), (1, 2, 3), width=2)
    assert framed.shape == (8, 10, 3)
    assert np.all(framed[2:-2, 2:-2] == 0)
    np.testing.assert_array_equal(framed[0, 0], [1, 2, 3])
    np.testing.assert_array_equal(framed[-1, 5], [1, 2, 3])


def test_tint_follows_the_mask():
    image = np.full((1, 3, 3), 100, np.uint8)
    mask = np.array([[0.0, 0.5, 1.0]])
    tinted = mosaic.tint(image, mask, (200, 0, 100), strength=1.0)
    np.testing.assert_array_equal(
        tinted[0], [[100, 100, 100], [150, 50, 100], [200, 0, 100]]
    )


def test_shrink_and_enlarge():
    image = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)
    np.testing.assert_array_equal(mosaic.shrink(image, 5), image[::2, ::2])
    assert mosaic.shrink(image, 9).shape[0] <= 9
    np.testing.assert_array_equal(mosaic.shrink(image, 10), image)
    np.testing.assert_array_equal(mosaic.enlarge(image, 3)[1::3, 1::3], image)


def test_to_uint8_clips_and_rounds():
    values = np.array([-1.0, 0.0, 0.5, 0.999, 1.0, 2.0])
    np.testing.assert_array_equal(mosaic.to_uint8(values), [0, 0, 128, 255, 255, 255])
