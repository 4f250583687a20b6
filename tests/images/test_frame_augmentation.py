from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import frame_augmentation, square_crops

STRIDE = 8
FRAME, CELLS = (48, 64), (6, 8)


@pytest.fixture
def batch():
    """Random frames [6, 48, 64, 3] and masks [6, 6, 8, 2] of zeros and ones."""
    rng = np.random.default_rng(0)
    frames = rng.random((6, *FRAME, 3), np.float32)
    masks = rng.integers(0, 2, (6, *CELLS, 2)).astype(np.float32)
    return frames, masks


def _views(batch, scales, corners):
    frames, masks = frame_augmentation.view(
        *map(tf.constant, batch),
        tf.constant(scales, tf.float32),
        tf.constant(corners, tf.float32),
    )
    return frames.numpy(), masks.numpy()


def _cell_by_loops(mask, scale, corner):
    """The mask's value at the centre of each cell of a view; 0 outside."""
    height, width = mask.shape[:2]
    result = np.zeros_like(mask)
    for row in range(height):
        for column in range(width):
            # In cells of the mask: the centre of the view's cell.
            y = math.floor((row + 0.5) / scale + corner[0])
            x = math.floor((column + 0.5) / scale + corner[1])
            if 0 <= y < height and 0 <= x < width:
                result[row, column] = mask[y, x]
    return result


def _pixels_by_loops(frame, scale, corner):
    """Bilinear interpolation, with gray pixels around the frame."""
    height, width = frame.shape[:2]

    def pixel(y, x):
        inside = 0 <= y < height and 0 <= x < width
        return frame[y, x] if inside else np.full(3, 0.5)

    result = np.zeros_like(frame)
    for row in range(height):
        for column in range(width):
            y = (row + 0.5) / scale - 0.5 + STRIDE * corner[0]
            x = (column + 0.5) / scale - 0.5 + STRIDE * corner[1]
            top, left = math.floor(y), math.floor(x)
            for weight, near_y in ((1 - y + top, top), (y - top, top + 1)):
                result[row, column] += weight * (
                    (1 - x + left) * pixel(near_y, left)
                    + (x - left) * pixel(near_y, left + 1)
                )
    return result


def test_views_by_loops(batch):
    # At scale 0.5 the centre of a cell is between two cells of the mask.
    scales = [1.0, 1.3, 0.7, 2.0, 0.55, 1.71]
    corners = [(0, 0), (1, 0), (-2, -1), (3, 4), (-3, -8), (2, 1)]
    frames, masks = _views(batch, scales, corners)
    for index, (scale, corner) in enumerate(zip(scales, corners)):
        seen = _pixels_by_loops(batch[0][index], scale, corner)
        np.testing.assert_allclose(frames[index], seen, atol=2e-5)
        cells = _cell_by_loops(batch[1][index], scale, corner)
        np.testing.assert_array_equal(masks[index], cells)


def test_at_scale_1_a_view_is_a_shift_by_whole_cells(batch):
    frames, masks = _views(batch, [1.0] * 6, [(2, -3)] * 6)
    np.testing.assert_array_equal(masks[:, :4, 3:], batch[1][:, 2:, :5])
    np.testing.assert_allclose(frames[:, :32, 24:], batch[0][:, 16:, :40], atol=1e-6)
    assert not masks[:, 4:].any() and not masks[:, :, :3].any()
    # Not the row or column beside the frame, which interpolation reads with weight 0.
    np.testing.assert_allclose(frames[:, 32:], 0.5, atol=1e-6)
    np.testing.assert_allclose(frames[:, :, :24], 0.5, atol=1e-6)


def test_the_whole_frame_at_scale_1_is_the_frame(batch):
    frames, masks = _views(batch, [1.0] * 6, [(0, 0)] * 6)
    np.testing.assert_allclose(frames, batch[0], atol=1e-6)
    np.testing.assert_array_equal(masks, batch[1])


@pytest.mark.parametrize("scales", [(1.0, 2.0), (0.5, 1.0), (0.5, 2.0)])
def test_drawn_views_lie_in_the_frame_or_contain_it(scales):
    scale, corner = (
        value.numpy()
        for value in frame_augmentation.draw_views(2000, CELLS, scales, [3, 4])
    )
    assert scales[0] <= scale.min() and scale.max() <= scales[1]
    assert np.median(np.log(scale)) == pytest.approx(np.log(scales).mean(), abs=0.05)
    np.testing.assert_array_equal(corner, np.round(corner))
    for axis, size in enumerate(CELLS):
        first, last = corner[:, axis], corner[:, axis] + size / scale
        larger = scale > 1
        assert (first[larger] >= 0).all() and (last[larger] < size + 1e-4).all()
        assert (first[~larger] <= 0).all() and (last[~larger] > size - 1e-4).all()
        # Each place that fits is drawn.
        room = [size - size / each for each in scales]
        places = {n for n in range(-size, size) if room[0] <= n <= room[1]}
        assert set(corner[:, axis].astype(int)) >= places - {room[0], room[1]}


def test_a_seed_repeats_its_views():
    draws = [
        frame_augmentation.draw_views(8, CELLS, (0.7, 1.4), seed)
        for seed in ([1, 2], [1, 2], [1, 3])
    ]
    for same, again, other in zip(*draws):
        np.testing.assert_array_equal(same, again)
        assert not np.array_equal(same, other)


def test_a_view_of_mirrored_frames_is_the_mirrored_view_of_the_other_side(batch):
    """At scale 2 a view is half as wide: 4 of 8 cells."""
    mirrored = tuple(values[:, :, ::-1] for values in batch)
    left, right = (
        _views(batch, [2.0] * 6, [(1, 1)] * 6),
        _views(mirrored, [2.0] * 6, [(1, 3)] * 6),
    )
    np.testing.assert_allclose(left[0], right[0][:, :, ::-1], atol=1e-5)
    np.testing.assert_array_equal(left[1], right[1][:, :, ::-1])


def test_mirroring_twice_with_a_seed_changes_nothing(batch):
    once = square_crops.random_mirror(batch, [5, 6])
    twice = square_crops.random_mirror(once, [5, 6])
    assert not np.array_equal(once[0], batch[0])
    for values, before in zip(twice, batch):
        np.testing.assert_array_equal(values, before)
