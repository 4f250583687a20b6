import numpy as np
import pytest
import tensorflow as tf

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


def test_a_block_is_four_neighbours(everywhere):
    side = patches.min_side(16, 5, 2)
    assert side == 41
    image = _coordinates(side, side)
    cells = np.array([[0, 0], [0, 21], [21, 0], [21, 21]])

    def cut(photo, seed):
        return patches.jittered_cells(photo, 16, 5, 2, seed)

    blocks = [cut(image, [3, n]).numpy() for n in range(6)]
    for block in [everywhere(cut, image, [4, 4]), *blocks]:
        assert block.shape == (4, 16, 16, 3) and block.dtype == np.uint8
        corners = _corners(block)
        for patch, (top, left) in zip(block, corners):
            expected = image[top : top + 16, left : left + 16]
            np.testing.assert_array_equal(patch, expected)
        jitter = corners - cells
        assert jitter.min() >= 0 and jitter.max() <= 4


def test_jitter_is_independent():
    image = _coordinates(41, 41)
    corners = np.array(
        [
            _corners(patches.jittered_cells(image, 16, 5, 2, [7, n]).numpy())
            for n in range(300)
        ]
    )
    # Differences of two independent uniform jitters in [-2, 2] reach all of [-4, 4].
    apart = corners[:, 1, 1] - corners[:, 0, 1] - 21
    assert set(apart) == set(range(-4, 5))
    across = corners[:, 1, 0] - corners[:, 0, 0]
    assert abs(np.corrcoef(apart, across)[0, 1]) < 0.2


def _starts(size, grid, count):
    return {
        tuple(patches.random_block_corner(np.int32(size), *grid, [1, n]).numpy())
        for n in range(count)
    }


def test_blocks_start_in_every_cell_of_the_grid():
    # 3 x 4 cells: 2 x 3 blocks, and no room for the grid to move.
    found = _starts((58, 79), (16, 5, 0), 60)
    assert found == {(top, left) for top in (0, 21) for left in (0, 21, 42)}


def test_the_grid_moves_over_the_whole_image():
    found = np.array(list(_starts((49, 110), (16, 5, 2), 300)))
    assert found.min(axis=0).tolist() == [0, 0]
    assert found[:, 0].max() == 49 - 41
    assert 110 - 41 - 2 <= found[:, 1].max() <= 110 - 41


@pytest.mark.parametrize(
    "size", [(120, 160), (160, 120), (41, 300), (20, 23), (90, 90)]
)
def test_a_block_of_a_resized_photo(everywhere, size):
    """Places of the patches in the photo, told by their colors, are the grid's."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    ramp = np.stack([y * 255 / height, x * 255 / width, 0 * x], -1).astype(np.uint8)
    encoded = tf.io.encode_png(ramp)

    def cut(photo, seed):
        return patches.random_block(photo, 10_000, 16, 5, 2, seed)

    for seed in ([4, 4], [5, 7]):
        block = everywhere(cut, encoded, seed)
        assert block.shape == (4, 16, 16, 3) and block.dtype == np.uint8
        # Of the photo resized to the area, or so that the block fits.
        used = np.minimum(size, 4 * min(size))
        scale = max(np.sqrt(10_000 / np.prod(used)), 41 / min(used))
        centres = block[..., :2].mean(axis=(1, 2)) * size * scale / 255
        np.testing.assert_allclose(centres[1] - centres[0], [0, 21], atol=7)
        np.testing.assert_allclose(centres[2] - centres[0], [21, 0], atol=7)
        np.testing.assert_allclose(centres[3] - centres[0], [21, 21], atol=7)
