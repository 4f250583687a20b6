import cv2
import numpy as np
import pytest

from data_prep.trajectories import extraction, flow, motion, tracking, validity
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Path, Scene


def uniform_motion(displacement, shape=(240, 320), stabilised=(0.0, 0.0)):
    """A `PairMotion` that moves every pixel alike."""

    def field(vector):
        return [
            np.full([*flow.scaled_size(shape, s), 2], vector, np.float32)
            for s in flow.spatial_scales(*shape)
        ]

    return motion.PairMotion(field(displacement), field(stabilised), np.eye(3))


@pytest.fixture
def textured():
    return np.random.default_rng(0).integers(0, 255, [240, 320]).astype(np.uint8)


def test_scales_are_powers_of_root_two_as_far_as_they_fit():
    np.testing.assert_allclose(
        flow.spatial_scales(240, 320), 2 ** (np.arange(6) / 2), rtol=1e-6
    )
    assert len(flow.spatial_scales(1080, 1920)) == 8
    assert flow.spatial_scales(16, 16) == [1.0]


def test_points_are_dense_at_every_scale_where_there_is_texture(textured):
    textured[:, 160:] = 90
    tracker = tracking.DenseTracker(textured.shape, 1)
    tracker.sample(textured)
    tracks = tracker.advance(uniform_motion((0, 0)), 1)
    for scale in flow.spatial_scales(240, 320):
        starts = tracks.points[np.isclose(tracks.scale, scale), 0]
        # Corners are looked for in a window of three pixels of the scaled frame.
        assert starts[:, 0].max() < 160 + 3 * scale
        xs, ys = np.unique(starts[:, 0]), np.unique(starts[:, 1])
        np.testing.assert_allclose(np.diff(xs), 5 * scale, rtol=1e-4)
        np.testing.assert_allclose(np.diff(ys), 5 * scale, rtol=1e-4)
        assert len(starts) == len(xs) * len(ys)
    assert np.count_nonzero(tracks.scale == 1) == 48 * 32


def test_no_second_track_where_one_is(textured):
    tracker = tracking.ScaleTracker(1.0, 2)
    tracker.sample(textured)
    still = np.zeros([240, 320, 2], np.float32)
    for _ in range(2):
        tracker.sample(textured)
        tracker.advance(still, still, textured.shape)
    assert len(tracker.pop_finished(2)) == 48 * 64
    tracker.sample(textured)
    tracker.advance(still, still, textured.shape)
    tracker.advance(still, still, textured.shape)
    assert len(tracker.pop_finished(4)) == 48 * 64


def test_tracks_follow_the_flow_and_end_at_the_border(textured):
    tracker = tracking.DenseTracker(textured.shape, 4)
    tracker.sample(textured)
    for frame in range(1, 5):
        tracks = tracker.advance(uniform_motion((9, -2), stabilised=(0.5, 0)), frame)
        assert bool(len(tracks)) == (frame == 4)
    assert set(tracks.end_frame) == {4}
    np.testing.assert_allclose(np.diff(tracks.points, axis=1)[..., 0], 9, rtol=1e-4)
    np.testing.assert_allclose(np.diff(tracks.points, axis=1)[..., 1], -2, rtol=1e-4)
    np.testing.assert_array_equal(tracks.steps[..., 0], 0.5)
    ends = tracks.points[:, -1]
    assert (ends >= 0).all() and (ends <= (319, 239)).all()
    # Those that started in the last 36 columns have left.
    assert 275 < tracks.points[:, 0, 0].max() <= 283


def test_tracks_follow_a_real_pan():
    images, _ = scenes.render(Scene("coffee", Path(pan=(3.0, 2.0))), 6)
    found = extraction.extract(images, length=5)
    steps = np.diff(found.points, axis=1)
    inner = np.all((found.points > 20) & (found.points < (300, 220)), axis=(1, 2))
    assert inner.sum() > 1000
    np.testing.assert_allclose(np.median(steps[inner], axis=(0, 1)), (3, 2), atol=0.1)
    assert found.camera_motion[inner].mean() > 0.98


@pytest.mark.parametrize("length", [5, 15])
def test_contract_of_the_trajectories(length):
    images, _ = scenes.render(Scene("chelsea", Path(pan=(2.0, 0.0))), length + 3)
    found = extraction.extract(images, length)
    count = len(found.points)
    assert count
    assert found.points.shape == (count, length + 1, 2)
    assert found.points.dtype == np.float32
    assert found.end_frame.shape == found.scale.shape == (count,)
    assert found.camera_motion.shape == (count,)
    assert found.camera_motion.dtype == bool
    assert set(found.end_frame) == {length, length + 1, length + 2}
    assert validity.is_valid(found.points).all()


def test_a_static_video_has_no_trajectories():
    images, _ = scenes.render(Scene("chelsea", noise=1.0), 8)
    assert len(extraction.extract(images, length=5).points) == 0


def test_a_video_that_is_too_short_has_no_trajectories():
    images, _ = scenes.render(Scene("chelsea", Path(pan=(4.0, 0.0))), 5)
    found = extraction.extract(images, length=5)
    assert found.points.shape == (0, 6, 2)


def test_saved_trajectories_are_whole(tmp_path):
    images, _ = scenes.render(Scene("chelsea", Path(pan=(4.0, 0.0))), 7)
    found = extraction.extract(images, length=5)
    extraction.save(found, tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as stored:
        assert set(stored) == {"points", "end_frame", "scale", "camera_motion"}
        for name in stored:
            np.testing.assert_array_equal(stored[name], getattr(found, name))
    assert [path.name for path in tmp_path.iterdir()] == ["found.npz"]


def test_flow_pyramid_keeps_displacements_and_drops_outliers():
    dense = np.full([240, 320, 2], (3.0, -1.0), np.float32)
    dense[100, 100] = 90.0
    for scale, level in zip((1.0, 2.0), flow.flow_pyramid(dense, (1.0, 2.0))):
        assert level.shape == (240 / scale, 320 / scale, 2)
        np.testing.assert_allclose(level, np.broadcast_to((3, -1), level.shape))


def test_flow_is_looked_up_at_the_nearest_pixel():
    level = np.zeros([120, 160, 2], np.float32)
    level[10, 20] = (7, 8)
    points = np.float32([[40, 20], [41, 21], [42, 22], [-5, 900]])
    found = flow.flow_at(level, points, 2.0)
    np.testing.assert_array_equal(found, [[7, 8], [7, 8], [0, 0], [0, 0]])


def test_flow_of_a_shifted_image():
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, [240, 320]).astype(np.uint8),
        (0, 0),
        2,
    )
    dense = flow.dense_flow(image, np.roll(image, (3, 5), axis=(0, 1)))
    np.testing.assert_allclose(
        np.median(dense[20:-20, 20:-20], axis=(0, 1)), (5, 3), atol=0.1
    )
