import numpy as np
import pytest

from selfsup.images import patches


def _coordinates(height, width):
    """An image whose pixels tell where they are: (y, x, 0), below 256."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, 0 * x], axis=-1).astype(np.uint8)


def test_crops(everywhere):
    image = _coordinates(30, 40)
    corners = np.int32([[0, 0], [10, 5], [22, 32]])
    cut = everywhere(lambda x, c: patches.crops(x, c, 8), image, corners)
    for patch, (top, left) in zip(cut, corners):
        np.testing.assert_array_equal(patch, image[top : top + 8, left : left + 8])


def _corners(block):
    return block[:, 0, 0, :2].astype(int)


@pytest.mark.parametrize("size", [(41, 41), (41, 100), (130, 90), (200, 200)])
def test_a_block_is_four_neighbours_of_the_grid(everywhere, size):
    image = _coordinates(*size)
    assert patches.min_side(16, 5, 2) == 41
    cells = np.array([[0, 0], [0, 21], [21, 0], [21, 21]])

    def cut(photo, seed):
        return patches.random_block(photo, 16, 5, 2, seed)

    blocks = [cut(image, [3, n]).numpy() for n in range(6)]
    for block in [everywhere(cut, image, [4, 4]), *blocks]:
        assert block.shape == (4, 16, 16, 3) and block.dtype == np.uint8
        corners = _corners(block)
        for patch, (top, left) in zip(block, corners):
            expected = image[top : top + 16, left : left + 16]
            np.testing.assert_array_equal(patch, expected)
        jitter = corners - cells
        assert np.all(np.ptp(jitter, axis=0) <= 4)


def test_blocks_reach_the_whole_image_and_jitter_is_independent():
    image = _coordinates(110, 150)
    corners = np.array(
        [
            _corners(patches.random_block(image, 16, 5, 2, [7, n]).numpy())
            for n in range(300)
        ]
    )
    assert corners.min() == 0
    assert 92 <= corners[..., 0].max() <= 94 and 132 <= corners[..., 1].max() <= 134
    # Differences of two independent uniform jitters in [-2, 2] reach all of [-4, 4].
    apart = corners[:, 1, 1] - corners[:, 0, 1] - 21
    assert set(apart) == set(range(-4, 5))
    across = corners[:, 1, 0] - corners[:, 0, 0]
    assert abs(np.corrcoef(apart, across)[0, 1]) < 0.2


def test_blocks_start_in_every_cell_of_the_grid():
    # 3 x 4 cells: 2 x 3 blocks, and no room for the grid to move.
    image = _coordinates(58, 79)
    corners = [
        _corners(patches.random_block(image, 16, 5, 0, [1, n]).numpy())[0]
        for n in range(60)
    ]
    assert {tuple(corner) for corner in corners} == {
        (top, left) for top in (0, 21) for left in (0, 21, 42)
    }
