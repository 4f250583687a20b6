import dataclasses

import numpy as np
import pytest

from data_prep.trajectories import masks, tracking
from tests.benchmarks.motion_masks import scoring, suites
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene

SHAPE = (240, 320)


def one_mask(scene, length=10):
    """Returns (mask of frame 0, ground truth of the cells)."""
    images, truths = scenes.render(scene, length + 1)
    (frame,) = masks.label_frames(enumerate(images), [0], length)
    np.testing.assert_array_equal(frame.image, images[0])
    assert frame.index == 0
    assert frame.mask.dtype == np.uint8
    assert frame.mask.shape == (30, 40)
    return frame.mask, scenes.cell_truth(truths[0])


def made(starts, steps, points=None):
    """Returns `Tracks` with these starts and stabilised steps, (x, y) each."""
    starts, steps = np.float32(starts), np.float32(steps)
    if points is None:
        points = np.repeat(starts[:, None], steps.shape[1] + 1, axis=1)
    scale = np.ones(len(starts), np.float32)
    return tracking.Tracks(points, steps, scale.astype(np.int32), scale)


def moving(count, step=2.0, since=0, length=10):
    """Returns stabilised steps [count, L, 2] that are zero before step `since`."""
    steps = np.zeros([count, length, 2], np.float32)
    steps[:, since:, 0] = step
    return steps


@pytest.mark.parametrize(
    "path",
    [
        Path(),
        Path(pan=(4.0, -2.0)),
        Path(zoom=1.01),
        Path(degrees=0.8),
        Path(pan=(1.0, 1.0), shake=1.5),
    ],
    ids=["still", "pan", "zoom", "rotation", "shake"],
)
def test_camera_motion_gives_no_foreground(path):
    mask, _ = one_mask(Scene("coffee", path, noise=2.0))
    assert np.mean(mask == masks.FOREGROUND) < 0.005
    assert np.mean(mask == masks.BACKGROUND) > 0.6


def test_an_object_under_a_moving_camera_is_foreground():
    scene = Scene(
        "immunohistochemistry",
        Path(pan=(2.0, 1.0), degrees=0.3),
        (Layer("gravel", (150, 120), (60, 50), Path(pan=(-2.0, 0.5))),),
    )
    mask, truth = one_mask(scene)
    assert scenes.iou(mask, truth) > 0.75
    assert np.mean(mask[truth] == masks.FOREGROUND) > 0.9


def test_an_object_that_the_camera_follows_is_foreground():
    # The object rests in the image, and the background passes.
    camera = Path(pan=(3.0, 0.0))
    layer = Layer("coins", (160, 120), (60, 50), Path(pan=(-3.0, 0.0)))
    mask, truth = one_mask(Scene("grass", camera, (layer,)))
    assert scenes.iou(mask, truth) > 0.5


def test_a_small_object_is_foreground():
    # The object has about 16 cells; smaller pieces than 8 cells are ignored.
    layer = Layer("gravel", (150, 120), (20, 16), Path(pan=(-2.0, 1.0)))
    mask, truth = one_mask(
        Scene("immunohistochemistry", Path(pan=(1.0, 0.5), shake=0.5), (layer,))
    )
    assert scenes.iou(mask, truth) > 0.5


def parallax(speed):
    """Returns (mask, ground truth) of a pan past a wall nearer than the background."""
    wall = Layer("gravel", (160, 180), (70, 50), Path(pan=(speed, 0.0)), moving=False)
    scene = Scene("immunohistochemistry", Path(pan=(2.0, 0.0)), (wall,))
    _, truths = scenes.render(scene, 1)
    near = dataclasses.replace(wall, moving=True)
    _, walls = scenes.render(dataclasses.replace(scene, layers=(near,)), 1)
    assert not truths.any()
    return one_mask(scene)[0], scenes.cell_truth(walls[0])


def test_parallax_under_a_pixel_is_camera_motion():
    mask, _ = parallax(0.6)
    assert np.mean(mask == masks.FOREGROUND) < 0.005


def test_parallax_of_pixels_is_foreground():
    # A limit of the method: the nearer wall counts as moving.
    mask, wall = parallax(2.0)
    assert np.mean(mask[wall] == masks.FOREGROUND) > 0.7
    assert scenes.iou(mask, wall) > 0.6


def test_better_than_the_baseline():
    score = scoring.mean_of_suite(suites.moving_objects()[::3])
    assert score.iou > score.baseline_iou + 0.15
    assert score.strict_iou > score.baseline_iou + 0.15
    assert score.false < 0.5 * score.baseline_false


@pytest.mark.slow
def test_better_than_the_baseline_on_all_scenes():
    for suite in (
        suites.moving_objects,
        suites.slow_objects,
        suites.large_objects,
    ):
        score = scoring.mean_of_suite(suite())
        assert score.iou > score.baseline_iou + 0.1
        assert score.strict_iou > score.baseline_iou
    empty = scoring.mean_of_suite(suites.static_scenes())
    assert empty.false < 0.04 < empty.baseline_false


def test_a_frame_before_a_cut_is_not_labelled():
    first, _ = scenes.render(Scene("coffee", Path(pan=(1.0, 0.0))), 8)
    second, _ = scenes.render(Scene("grass", Path(pan=(1.0, 0.0))), 8)
    images = np.concatenate([first, second])
    labelled = masks.label_frames(enumerate(images), range(12), length=4)
    assert [frame.index for frame in labelled] == [0, 1, 2, 3, 8, 9, 10, 11]


def test_overlapping_windows_give_the_masks_of_single_windows():
    images, _ = scenes.render(suites.moving_objects()[0], 9)
    frames = list(enumerate(images))
    together = list(masks.label_frames(frames, [1, 2, 4], length=4))
    assert [frame.index for frame in together] == [1, 2, 4]
    for frame in together:
        window = frames[frame.index : frame.index + 5]
        (single,) = masks.label_frames(window, [frame.index], length=4)
        np.testing.assert_array_equal(frame.mask, single.mask)


def test_frames_between_windows_may_be_missing():
    images, _ = scenes.render(Scene("coffee", Path(pan=(2.0, 0.0))), 10)
    frames = [(index, image) for index, image in enumerate(images) if index != 4]
    labelled = masks.label_frames(frames, [0, 5], length=3)
    assert [frame.index for frame in labelled] == [0, 5]


def row(cells, tracks=1, top=96):
    """Returns (x, y) of `tracks` tracks in each of the cells (columns) of a row."""
    return [(8 * column + 1 + i, top + 2) for column in cells for i in range(tracks)]


def test_half_of_a_cells_tracks_make_it_foreground():
    # Of ten cells in row 12, two have 1 of 2 tracks that move, one has 1 of 3.
    starts = [*row(range(7)), *row((7, 8), 2), *row((9,), 3)]
    steps = moving(len(starts))
    steps[[8, 10, 12, 13]] = 0.0
    mask = masks.mask_from_tracks(made(starts, steps), SHAPE)
    np.testing.assert_array_equal(mask[12, :9], masks.FOREGROUND)
    assert mask[12, 9] == masks.BACKGROUND


def test_more_than_half_of_a_cells_tracks_make_it_background():
    # The other tracks do not move from their start, so they give no label.
    starts = [*row((3,), 2), *row((20,), 3)]
    steps = moving(5, since=5)
    steps[[0, 2, 3]] = 0.0
    mask = masks.mask_from_tracks(made(starts, steps), SHAPE)
    assert mask[12, 20] == masks.BACKGROUND
    assert mask[12, 3] == masks.IGNORE


def test_a_cell_is_eight_pixels():
    starts = [(x, y) for x in range(80, 120) for y in range(40, 80)]
    mask = masks.mask_from_tracks(made(starts, moving(len(starts))), SHAPE)
    assert (mask[5:10, 10:15] == masks.FOREGROUND).all()
    mask[5:10, 10:15] = masks.IGNORE
    background = [(79.4, 60), (79.6, 60), (120, 60), (100, 39), (100, 80)]
    tracks = made(starts + background, moving(len(starts) + 5))
    tracks.steps[-5:] = 0.0
    mask = masks.mask_from_tracks(tracks, SHAPE)
    assert (mask[5:10, 10:15] == masks.FOREGROUND).all()
    cells = [mask[7, 9], mask[7, 15], mask[4, 12], mask[10, 12]]
    assert cells == [masks.BACKGROUND] * 4


@pytest.mark.parametrize(("count", "label"), [(7, "IGNORE"), (8, "FOREGROUND")])
def test_specks_are_ignored(count, label):
    mask = masks.mask_from_tracks(made(row(range(count)), moving(count)), SHAPE)
    np.testing.assert_array_equal(mask[12, :count], getattr(masks, label))


def test_tracks_that_start_to_move_later_do_not_count():
    starts = row(range(10))
    prompt = masks.mask_from_tracks(made(starts, moving(10)), SHAPE)
    late = masks.mask_from_tracks(made(starts, moving(10, since=5)), SHAPE)
    np.testing.assert_array_equal(prompt[12, :10], masks.FOREGROUND)
    np.testing.assert_array_equal(late[12, :10], masks.IGNORE)


def test_erratic_tracks_do_not_count():
    starts = np.float32(row(range(10)))
    points = np.repeat(starts[:, None], 11, axis=1)
    points[:, 5:] += 60
    tracks = made(starts, moving(10), points)
    np.testing.assert_array_equal(masks.mask_from_tracks(tracks, SHAPE), masks.IGNORE)


def test_no_tracks_no_labels():
    mask = masks.mask_from_tracks(tracking.Tracks.empty(10), SHAPE)
    np.testing.assert_array_equal(mask, masks.IGNORE)


def ring(label_of_cell):
    """Mask from one track in every cell but rows 10 to 14, columns 10 to 16."""
    starts, steps = [], []
    for row in range(30):
        for column in range(40):
            if not (10 <= row < 15 and 10 <= column < 17):
                starts.append((column * 8 + 4, row * 8 + 4))
                steps.append(moving(1, 2.0 * label_of_cell(row, column))[0])
    return masks.mask_from_tracks(made(starts, np.array(steps)), SHAPE)


def test_cells_without_tracks_take_the_label_around_them():
    assert (ring(lambda row, column: 0) == masks.BACKGROUND).all()
    assert (ring(lambda row, column: 1) == masks.FOREGROUND).all()


def test_cells_without_tracks_between_labels_are_ignored():
    mask = ring(lambda row, column: column >= 13)
    np.testing.assert_array_equal(mask[10:15, 10:17], masks.IGNORE)
    assert (mask[:, :10] == masks.BACKGROUND).all()
    assert (mask[:, 17:] == masks.FOREGROUND).all()


def test_cells_without_tracks_near_an_object_are_ignored():
    # The object touches an eighth of the region's outline.
    mask = ring(lambda row, column: column >= 17 and row in (11, 12, 13))
    assert (mask[10:15, 10:13] == masks.BACKGROUND).all()
    assert (mask[12, 15:17] == masks.IGNORE).all()
