import cv2
import numpy as np
import pytest

from data_prep.trajectories import camera, flow, motion, people
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene

CORNERS = np.float64([[[0, 0], [319, 0], [0, 239], [319, 239]]])


def gray(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def pair(scene):
    images, truths = scenes.render(scene, 2)
    first, second = map(gray, images)
    return first, second, flow.dense_flow(first, second), truths


def corner_error(matrix, expected):
    moved = [cv2.perspectiveTransform(CORNERS, x) for x in (matrix, expected)]
    return np.linalg.norm(moved[0] - moved[1], axis=2).max()


@pytest.mark.parametrize(
    "path",
    [Path(pan=(6.0, -4.0)), Path(zoom=1.03), Path(degrees=1.5)],
    ids=["pan", "zoom", "rotation"],
)
def test_the_homography_is_the_camera_motion(path):
    first, second, dense, _ = pair(Scene("coffee", path))
    expected = path.matrices(2, np.random.default_rng(0))[1]
    matrix = camera.homography(first, second, dense)
    assert corner_error(matrix, expected) < 1.0
    assert corner_error(np.eye(3), expected) > 3.0


def test_stabilising_restores_the_first_frame():
    first, second, dense, _ = pair(Scene("coffee", Path(pan=(6.0, -4.0)), noise=0))
    unmoved = camera.stabilise(first, second, camera.homography(first, second, dense))
    error = np.abs(unmoved.astype(float) - first)[10:-10, 10:-10].mean()
    moved = np.abs(second.astype(float) - first)[10:-10, 10:-10].mean()
    assert error < 0.2 * moved
    # Pixels that the second frame does not show have no motion.
    np.testing.assert_array_equal(unmoved[:2], first[:2])


def test_a_large_detailed_object_is_not_taken_for_the_background():
    own = Path(pan=(-4.0, 3.0))
    scene = Scene(
        "astronaut",
        Path(pan=(2.0, 1.0)),
        (Layer("gravel", (170, 120), (100, 85), own),),
    )
    first, second, dense, truths = pair(scene)
    background = scene.camera.matrices(2, np.random.default_rng(0))[1]
    assert truths[0].mean() > 0.3
    assert corner_error(camera.homography(first, second, dense), background) < 1.0


def test_excluded_pixels_are_not_used():
    layer = Layer("gravel", (160, 120), (130, 100), Path(pan=(4.0, 3.0)))
    first, second, dense, truths = pair(Scene("brick", layers=(layer,)))
    outside = camera.homography(first, second, dense, exclude=truths)
    inside = camera.homography(first, second, dense, exclude=~truths)
    assert corner_error(outside, np.eye(3)) < 1.0
    object_path = layer.own.matrices(2, np.random.default_rng(0))[1]
    assert corner_error(inside, object_path) < 1.0


def test_the_camera_is_unknown_without_texture_and_across_a_cut():
    flat = np.full([240, 320], 90, np.uint8)
    assert motion.measure_pair(flat, flat).camera is None
    first, second = (
        gray(scenes.render(Scene(name), 1)[0][0]) for name in ("coffee", "grass")
    )
    step = motion.measure_pair(first, second)
    assert step.camera is None
    assert step.stabilised is step.flows


def test_stabilised_flow_is_the_objects_own_motion():
    layer = Layer("astronaut", (160, 120), (60, 50), Path(pan=(4.0, 0.0)))
    first, second, _, truths = pair(Scene("coffee", Path(pan=(5.0, 2.0)), (layer,)))
    step = motion.measure_pair(first, second)
    inside = cv2.erode(np.uint8(truths[0]), np.ones([21, 21])) > 0
    outside = cv2.dilate(np.uint8(truths[0]), np.ones([61, 61])) == 0
    seen, own = step.flows[0], step.stabilised[0]
    assert np.linalg.norm(np.median(seen[inside], axis=0) - (9, 2)) < 0.5
    assert np.linalg.norm(np.median(own[inside], axis=0) - (4, 0)) < 0.5
    assert np.linalg.norm(np.median(own[outside], axis=0)) < 0.1


def test_people_detector_marks_boxes(monkeypatch):
    detector = people.PeopleDetector()
    assert not detector(np.full([240, 320], 90, np.uint8)).any()

    class FixedBoxes:
        def detectMultiScale(self, image, **unused):
            # The detector gets a frame of twice the size.
            assert image.shape == (480, 640)
            return np.array([[20, 40, 60, 120], [600, 400, 100, 200]]), None

    monkeypatch.setattr(detector, "_detector", FixedBoxes())
    mask = detector(np.zeros([240, 320], np.uint8))
    expected = np.zeros([240, 320], bool)
    expected[20:80, 10:40] = True
    expected[200:, 300:] = True
    np.testing.assert_array_equal(mask, expected)


def test_people_are_excluded_on_request(monkeypatch):
    seen = []

    def homography(first, second, dense, exclude=None):
        seen.append(exclude)

    monkeypatch.setattr(camera, "homography", homography)
    image = gray(scenes.render(Scene("coffee"), 1)[0][0])
    for mask_people in (False, True):
        measure = motion.MotionMeter(mask_people)
        assert measure(image) is None
        assert measure(image) is not None
    assert seen[0] is None
    assert [mask.shape for mask in seen[1]] == [image.shape] * 2
