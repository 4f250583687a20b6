import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import decoding, patches
from selfsup.images.patches import Grid


def _coordinates(height, width):
    """Returns an image whose pixels are their coordinates: (y, x, 0), below 256."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, 0 * x], axis=-1).astype(np.uint8)


def test_crops(everywhere):
    image = _coordinates(30, 40)
    corners = np.int32([[0, 0], [10, 5], [22, 32]])
    cut = everywhere(lambda x, c: patches.crops(x, c, 8), image, corners)
    for patch, (top, left) in zip(cut, corners):
        np.testing.assert_array_equal(patch, image[top : top + 8, left : left + 8])


def test_the_size_of_a_grid():
    # Cells, gaps between them, and jitter at either end.
    grid = Grid(2, 3, 16, 5, 2)
    assert grid.cells == 6
    assert grid.size == (2 * 16 + 5 + 4, 3 * 16 + 2 * 5 + 4)


def test_cells_lie_row_by_row_and_jitter_stays_in_its_range(everywhere):
    grid = Grid(2, 3, 16, 5, 2)
    corners = everywhere(lambda s: patches.jittered_cells(grid, 50, s), [3, 4])
    assert corners.shape == (50, 6, 2) and corners.dtype == np.int32
    jitters = set()
    for grid_corners in corners:
        for row in range(2):
            for column in range(3):
                top, left = grid_corners[3 * row + column]
                jitters |= {top - 21 * row, left - 21 * column}
    assert jitters == {0, 1, 2, 3, 4}


def test_jitter_is_independent():
    corners = patches.jittered_cells(Grid(2, 2, 16, 5, 2), 300, [7, 1]).numpy()
    # Differences of two independent uniform jitters in [-2, 2] reach all of [-4, 4].
    apart = corners[:, 1, 1] - corners[:, 0, 1] - 21
    assert set(apart) == set(range(-4, 5))
    across = corners[:, 1, 0] - corners[:, 0, 0]
    assert abs(np.corrcoef(apart, across)[0, 1]) < 0.2


def test_grids_of_a_photo_that_keeps_its_size_are_exact():
    """Each patch is a part of the photo, at its cell up to the jitter."""
    grid, image = Grid(2, 3, 16, 5, 2), _coordinates(60, 80)
    encoded = tf.io.encode_png(image)

    @tf.function
    def cut(photo, seed):
        return patches.random_grids(photo, 60 * 80, grid, 3, seed)

    first_corners = []
    for seed in range(40):
        grids = cut(encoded, tf.constant([seed, 7])).numpy()
        assert grids.shape == (3, 6, 16, 16, 3) and grids.dtype == np.uint8
        for cells in grids:
            lowest, highest = np.full(2, -100), np.full(2, 100)
            for row in range(2):
                for column in range(3):
                    patch = cells[3 * row + column]
                    top, left = patch[0, 0, :2].astype(int)
                    expected = image[top : top + 16, left : left + 16]
                    np.testing.assert_array_equal(patch, expected)
                    cell = np.array([top - 21 * row, left - 21 * column])
                    lowest = np.maximum(lowest, cell - 4)
                    highest = np.minimum(highest, cell)
            # For some place of the grid, all jitters are 0 to 4.
            assert np.all(lowest <= highest)
            first_corners.append(cells[0, 0, 0, :2])
    # Grids are placed independently, everywhere they fit with their jitter.
    corners = np.array(first_corners, int)
    np.testing.assert_array_equal(corners.min(axis=0), [0, 0])
    assert np.all(corners.max(axis=0) >= [60 - 41, 80 - 62])
    assert np.all(corners.max(axis=0) <= [60 - 41 + 4, 80 - 62 + 4])
    between = corners.reshape(40, 3, 2)
    assert abs(np.corrcoef(between[:, 0, 1], between[:, 1, 1])[0, 1]) < 0.4


@pytest.mark.parametrize(
    "size", [(120, 160), (160, 120), (41, 300), (300, 41), (20, 23), (1, 3), (90, 90)]
)
def test_grids_of_a_resized_photo(everywhere, size):
    """The colors of the patches, which tell their places, agree with the grid."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    ramp = np.stack([y * 255 / height, x * 255 / width, 0 * x], -1).astype(np.uint8)
    encoded, grid = tf.io.encode_png(ramp), Grid(2, 3, 16, 5, 2)

    def cut(photo, seed):
        return patches.random_grids(photo, 10_000, grid, 2, seed)

    # The scale to the area, or the larger scale at which the grid fits.
    used = np.minimum(size, 4 * min(size))
    scale = max(np.sqrt(10_000 / np.prod(used)), *(np.array(grid.size) / used))
    grids = everywhere(cut, encoded, [4, 4])
    assert grids.shape == (2, 6, 16, 16, 3)
    if min(size) < 10:
        return
    for cells in grids:
        centres = cells[..., :2].mean(axis=(1, 2)) * size * scale / 255
        for row in range(2):
            for column in range(3):
                offset = centres[3 * row + column] - centres[0]
                np.testing.assert_allclose(offset, [21 * row, 21 * column], atol=7)


def test_only_the_rectangle_that_the_grids_cover_is_decoded(monkeypatch):
    decoded = []

    def spy(encoded, choose):
        image, chosen = decoding.decode_chosen_window(encoded, choose)
        decoded.append(image.shape)
        return image, chosen

    monkeypatch.setattr(patches, "decode_chosen_window", spy)
    encoded, grid = tf.io.encode_jpeg(_coordinates(200, 250)), Grid(2, 2, 16, 5, 2)
    patches.random_grids(encoded, 200 * 250, grid, 1, [1, 2])
    assert decoded.pop() == (41, 41, 3)
    patches.random_grids(encoded, 4 * 200 * 250, grid, 1, [1, 2])
    assert decoded.pop() in {(h, w, 3) for h in (20, 21) for w in (20, 21)}
    patches.random_grids(encoded, 200 * 250, grid, 4, [1, 2])
    height, width, _ = decoded.pop()
    assert 41 < height < 200 and 41 < width < 250


def _normalized_reference(image):
    """Normalises float [H, W, C] by loops."""
    means, deviations = [], []
    for channel in np.moveaxis(image.astype(float), -1, 0):
        values = [value for row in channel for value in row]
        means.append(sum(values) / len(values))
        squares = [(value - means[-1]) ** 2 for value in values]
        deviations.append((sum(squares) / len(values)) ** 0.5)
    factor = 50 / 255 / max(*deviations, 1 / 255)
    return np.clip(0.5 + (image - np.array(means)) * factor, 0, 1)


def test_normalization_equals_its_reference(everywhere, rng):
    images = 0.3 + 0.1 * rng.normal(size=(5, 8, 8, 3)).astype(np.float32)
    images[1] = images[1, ..., :1]  # Harmonised.
    images[2, ..., 1:] = 0.5 + 0.001 * rng.normal(size=(8, 8, 2))  # Colours dropped.
    images[3] *= 0.001  # Little contrast.
    images[4] = 1.0  # No contrast.
    normalized = everywhere(patches.normalize, images)
    for image, result in zip(images, normalized):
        np.testing.assert_allclose(result, _normalized_reference(image), atol=1e-4)
    np.testing.assert_array_equal(normalized[4], 0.5)
    assert normalized[2, ..., 0].std() == pytest.approx(50 / 255, rel=0.05)
    assert normalized[3].std() == pytest.approx(50 * 0.0001, rel=0.2)


def test_normalization_removes_brightness_and_contrast(rng):
    images = rng.uniform(0.2, 0.8, (4, 8, 8, 3)).astype(np.float32)
    changed = 0.3 * images + np.float32([0.1, 0.2, 0.3])
    np.testing.assert_allclose(
        patches.normalize(changed), patches.normalize(images), atol=1e-5
    )
