import cv2
import numpy as np
import pytest

from data_prep.trajectories import extraction, flow, motion, tracking, validity
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene


def uniform_motion(displacement, shape=(240, 320), stabilised=(0.0, 0.0)):
    """Returns a `PairMotion` that moves every pixel by the same displacement."""

    def field(vector):
        return [
            np.full([*flow.scaled_size(shape, s), 2], vector, np.float32)
            for s in flow.spatial_scales(*shape)
        ]

    return motion.PairMotion(field(displacement), field(stabilised), np.eye(3))


@pytest.fixture
def textured():
    return np.random.default_rng(0).integers(0, 255, [240, 320]).astype(np.uint8)


def test_scales_are_powers_of_root_two_that_fit():
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
        # The corner detector has a window of three pixels of the scaled frame.
        assert starts[:, 0].max() < 160 + 3 * scale
        xs, ys = np.unique(starts[:, 0]), np.unique(starts[:, 1])
        np.testing.assert_allclose(np.diff(xs), 5 * scale, rtol=1e-4)
        np.testing.assert_allclose(np.diff(ys), 5 * scale, rtol=1e-4)
        assert len(starts) == len(xs) * len(ys)
    assert np.count_nonzero(tracks.scale == 1) == 48 * 32


def test_no_second_track_starts_where_a_track_is(textured):
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
    # Tracks that started in the last 36 columns have left the frame.
    assert 275 < tracks.points[:, 0, 0].max() <= 283


def test_tracks_follow_a_real_pan():
    images, _ = scenes.render(Scene("coffee", Path(pan=(3.0, 2.0))), 6)
    tracks = extraction.extract(images, length=5)
    steps = np.diff(tracks.points, axis=1)
    inner = np.all((tracks.points > 20) & (tracks.points < (300, 220)), axis=(1, 2))
    assert inner.sum() > 1000
    np.testing.assert_allclose(np.median(steps[inner], axis=(0, 1)), (3, 2), atol=0.1)
    assert tracks.camera_motion[inner].mean() > 0.98


@pytest.mark.parametrize("length", [5, 15])
def test_shapes_and_types_of_trajectories(length):
    images, _ = scenes.render(Scene("chelsea", Path(pan=(2.0, 0.0))), length + 3)
    tracks = extraction.extract(images, length)
    count = len(tracks.points)
    assert count
    assert tracks.points.shape == (count, length + 1, 2)
    assert tracks.points.dtype == np.float32
    assert tracks.end_frame.shape == tracks.scale.shape == (count,)
    assert tracks.camera_motion.shape == (count,)
    assert tracks.camera_motion.dtype == bool
    assert set(tracks.end_frame) == {length, length + 1, length + 2}
    assert validity.is_valid(tracks.points).all()


def test_a_static_video_has_no_trajectories():
    images, _ = scenes.render(Scene("chelsea", noise=1.0), 8)
    assert len(extraction.extract(images, length=5).points) == 0


def test_a_video_that_is_too_short_has_no_trajectories():
    images, _ = scenes.render(Scene("chelsea", Path(pan=(4.0, 0.0))), 5)
    tracks = extraction.extract(images, length=5)
    assert tracks.points.shape == (0, 6, 2)


def test_saved_trajectories_are_whole(tmp_path):
    images, _ = scenes.render(Scene("chelsea", Path(pan=(4.0, 0.0))), 7)
    tracks = extraction.extract(images, length=5)
    extraction.save(tracks, tmp_path / "tracks.npz")
    with np.load(tmp_path / "tracks.npz") as stored:
        assert set(stored) == {"points", "end_frame", "scale", "camera_motion"}
        for name in stored:
            np.testing.assert_array_equal(stored[name], getattr(tracks, name))
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.npz"]


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
    values = flow.flow_at(level, points, 2.0)
    np.testing.assert_array_equal(values, [[7, 8], [7, 8], [0, 0], [0, 0]])


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


def spots(*amplitudes):
    """Gray frame with a spot of 3x3 pixels for each amplitude, on points of the grid."""
    image = np.full([240, 320], 20, np.uint8)
    for column, amplitude in zip(range(42, 320, 80), amplitudes):
        image[101:104, column - 1 : column + 2] += np.uint8(amplitude)
    return image


def starts_at_full_size(image):
    """{(x, y)} of the tracks that start in a gray frame."""
    tracker = tracking.ScaleTracker(1.0, 1)
    tracker.sample(image)
    still = np.zeros([*image.shape, 2], np.float32)
    tracker.advance(still, still, image.shape)
    return {tuple(point) for point in tracker.pop_finished(1).points[:, 0]}


@pytest.mark.parametrize("amplitudes", [(200, 7, 6), (29, 1, 0)])
def test_points_have_at_least_a_thousandth_of_the_best_eigenvalue(amplitudes):
    # A spot's smaller eigenvalue is proportional to the square of its amplitude: 0.0012
    # and 0.0009 of the brightest spot's. The second frame has a seventh of the contrast.
    starts = starts_at_full_size(spots(*amplitudes))
    assert (42, 102) in starts
    assert (122, 102) in starts
    assert (202, 102) not in starts
    assert len(starts) == 2


def test_no_points_along_a_straight_edge():
    # Only the larger eigenvalue is large there: the point could slide along the edge.
    image = spots(100)
    image[:, 202:] = 220
    assert starts_at_full_size(image) == {(42, 102)}


def test_the_median_filter_is_three_by_three():
    dense = np.zeros([40, 60, 2], np.float32)
    dense[:, 20] = 9.0
    dense[:, 40:42] = 9.0
    (level,) = flow.flow_pyramid(dense, (1.0,))
    assert not level[:, :39].any()
    np.testing.assert_array_equal(level[:, 40:42], 9.0)


def test_a_step_is_the_flow_at_the_previous_point():
    moved = np.full([240, 320, 2], (40.0, 0.0), np.float32)
    stabilised = np.zeros([240, 320, 2], np.float32)
    stabilised[:, 42:82] = (3.0, 1.0)
    tracker = tracking.ScaleTracker(1.0, 2)
    tracker.sample(spots(200))
    for _ in range(2):
        tracker.advance(moved, stabilised, (240, 320))
    (track,) = tracker.pop_finished(2).steps
    np.testing.assert_array_equal(track, [(3, 1), (0, 0)])


CAMERAS = {
    "pan": Path(pan=(3.0, -2.0)),
    "zoom": Path(zoom=1.015),
    "rotation": Path(degrees=1.0),
    "jitter": Path(pan=(0.5, 0.5), shake=1.5),
}


@pytest.mark.parametrize("path", CAMERAS.values(), ids=CAMERAS)
def test_tracks_follow_the_camera_motion(path):
    images, _ = scenes.render(Scene("immunohistochemistry", path), 11)
    tracks = extraction.extract(images, length=10)
    cameras = path.matrices(11, np.random.default_rng(0))
    expected = np.stack(
        [cv2.perspectiveTransform(tracks.points[:, :1], x)[:, 0] for x in cameras], 1
    )
    error = np.linalg.norm(tracks.points - expected, axis=2).max(axis=1)
    assert len(error) > 3000
    assert np.median(error) < 0.6
    assert np.mean(error < 2) > 0.98
    assert tracks.camera_motion.mean() > 0.99


def test_an_object_under_a_moving_camera_is_not_camera_motion():
    layer = Layer("gravel", (150, 120), (60, 50), Path(pan=(-3.0, 1.0)))
    camera = Path(pan=(2.0, 0.5), degrees=0.4, zoom=1.004)
    scene = Scene("immunohistochemistry", camera, (layer,))
    images, truths = scenes.render(scene, 11)
    tracks = extraction.extract(images, length=10)
    # The flow is blurred across an object's outline.
    near = [cv2.dilate(np.uint8(truth), np.ones([21, 21])) > 0 for truth in truths]
    moving = ~_ever(~truths, tracks.points)
    still = ~_ever(near, tracks.points)
    assert moving.sum() > 200 and still.sum() > 2000
    assert tracks.camera_motion[moving].mean() < 0.05
    assert tracks.camera_motion[still].mean() > 0.98


def _ever(places, points):
    """Whether tracks [N, T, 2] are ever where `places`, bool [T, H, W], is true."""
    touched = np.zeros(len(points), bool)
    for place, positions in zip(places, points.transpose(1, 0, 2)):
        columns, rows = np.rint(positions).astype(int).T
        touched |= place[rows, columns]
    return touched
