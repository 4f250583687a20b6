"""Checks depth, motion and identity of every pixel against other computations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_prep.synthetic import (
    placement,
    renderer,
    rooms,
    rotations,
    still_scenes,
    video_scenes,
)
from data_prep.synthetic.arrays import Bool, Floats
from data_prep.synthetic.object_classes import CLASSES, ObjectClass
from data_prep.synthetic.scene import Camera, Scene
from data_prep.synthetic.video_scenes import CameraPath

HEIGHT, WIDTH = 96, 128

Video = tuple[Scene, CameraPath]


def _empty_scene(seed: int = 0) -> Scene:
    random = np.random.default_rng(seed)
    room, _ = rooms.draw_room(random)
    lights, ambient = rooms.draw_lights(random, room)
    return Scene(room, (), lights, ambient)


def _camera(position: tuple[float, float, float] = (0.0, 1.2, 0.0)) -> Camera:
    return Camera(np.array(position), np.eye(3), 100.0, HEIGHT, WIDTH)


def _pixel_centres() -> tuple[Floats, Floats]:
    """(u, v) of all pixels, row by row."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    return columns + 0.5, rows + 0.5


def _in_image(u: Floats, v: Floats) -> Bool:
    return (u >= 0) & (u < WIDTH) & (v >= 0) & (v < HEIGHT)


@pytest.fixture(scope="module", params=range(3))
def video(request: pytest.FixtureRequest) -> Video:
    """A scene of 12 frames with the path of the camera."""
    random = np.random.default_rng([5, request.param])
    return video_scenes.video_scene(random, CLASSES[:8], HEIGHT, WIDTH, 12)


def test_planes_have_the_depth_of_the_pinhole_model() -> None:
    scene = _empty_scene()
    depth = renderer.render(scene, _camera()).depth
    assert depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(scene.room.depth, rel=1e-6)
    rows = np.arange(HEIGHT) + 0.5 - HEIGHT / 2
    floor = 1.2 * 100.0 / np.maximum(rows, 1e-9)
    expected = np.minimum(floor, scene.room.depth)[rows > 0]
    np.testing.assert_allclose(depth[rows > 0, WIDTH // 2], expected, rtol=1e-5)


def test_a_ball_has_the_right_place_and_size() -> None:
    random = np.random.default_rng(2)
    ball = placement.moved_to(placement.draw_object(random, CLASSES[0]), 0.3, 3.0)
    scene = dataclasses.replace(_empty_scene(), objects=(ball,))
    radius = ball.position[1]
    camera = _camera((0.3, radius, 0.0))
    rendering = renderer.render(scene, camera)
    visible = rendering.object_index == 0
    assert rendering.depth[visible].min() == pytest.approx(3.0 - radius, abs=2e-3)
    # The angle of a ball's outline to its centre has the sine radius / distance.
    outline = 100.0 * np.tan(np.arcsin(radius / 3.0))
    assert visible.sum() == pytest.approx(np.pi * outline**2, rel=0.03)


def test_static_points_are_where_the_camera_motion_takes_them(video: Video) -> None:
    scene, path = video
    first, last = path.camera(0), path.camera(10)
    before = renderer.render(scene, first, 0.0)
    after = renderer.render(scene, last, 10.0)
    u_before, v_before = _pixel_centres()
    points = first.position[:, None] + (
        first.directions(u_before, v_before) * before.depth.ravel()
    )
    u, v, depth = last.project(points)
    static = video_scenes.moving_mask(scene, before).ravel() == 0
    chosen = static & _in_image(u, v)
    u, v, depth = u[chosen], v[chosen], depth[chosen]
    # The world point at that pixel, at most half a pixel away, projected back into the
    # first image: it returns to within a pixel where no other surface came between.
    row, column = v.astype(int), u.astype(int)
    rays = last.directions(column + 0.5, row + 0.5)
    back = last.position[:, None] + rays * after.depth[row, column]
    u_back, v_back, _ = first.project(back)
    visible = np.abs(after.depth[row, column] - depth) < 0.05 * depth
    away = np.hypot(u_back - u_before[chosen], v_back - v_before[chosen])[visible]
    assert visible.mean() > 0.8
    assert np.quantile(away, 0.98) < 1.0


def test_images_move_as_depth_and_camera_predict(video: Video) -> None:
    scene, path = video
    resting = tuple(placed for placed in scene.objects if placed.motion is None)
    scene = dataclasses.replace(scene, objects=resting)
    first, last = path.camera(0), path.camera(11)
    # Some more motion, in case the path has little.
    last = dataclasses.replace(last, rotation=rotations.yaw(0.04) @ last.rotation)
    before, after = renderer.render(scene, first), renderer.render(scene, last)
    rays = first.directions(*_pixel_centres())
    u, v, _ = last.project(first.position[:, None] + rays * before.depth.ravel())
    inside = _in_image(u, v)
    moved = after.image[v[inside].astype(int), u[inside].astype(int)].astype(float)
    original = before.image.reshape(-1, 3)[inside].astype(float)
    unmoved = after.image.reshape(-1, 3)[inside].astype(float)
    assert np.abs(moved - original).mean() < 0.6 * np.abs(unmoved - original).mean()


def test_mask_is_what_the_moving_objects_cover(video: Video) -> None:
    """Without them, depth changes in the mask and nowhere else."""
    scene, path = video
    camera = path.camera(4)
    whole = renderer.render(scene, camera, 4.0)
    rest = tuple(placed for placed in scene.objects if placed.motion is None)
    assert len(rest) < len(scene.objects)
    without = renderer.render(dataclasses.replace(scene, objects=rest), camera, 4.0)
    changed = without.depth != whole.depth
    np.testing.assert_array_equal(video_scenes.moving_mask(scene, whole) == 1, changed)


def test_objects_move_in_every_frame_or_never(video: Video) -> None:
    scene, _ = video
    kinds = {placed.kind for placed in scene.objects if placed.motion is not None}
    assert kinds and all(kind is not None and kind.moves for kind in kinds)
    for frame in range(11):
        for placed in scene.objects:
            poses = zip(placed.pose(frame), placed.pose(frame + 1))
            still = all(np.array_equal(now, later) for now, later in poses)
            assert still == (placed.motion is None)


def test_moving_objects_move_by_pixels(video: Video) -> None:
    scene, path = video
    camera = path.camera(6)
    for placed in scene.objects:
        if placed.motion is None:
            continue
        positions = []
        for time in (5.5, 6.5):
            matrix, offset = placed.pose(time)
            positions.append(matrix @ placed.pivot + offset)
        u, v, _ = camera.project(np.stack(positions, axis=1))
        assert 0.3 < np.hypot(*np.diff([u, v])[:, 0]) < 12


def test_objects_stand_on_the_floor_and_in_the_room(video: Video) -> None:
    scene, _ = video
    for placed in scene.objects:
        if placed.kind is None:
            continue
        for time in (0.0, 6.0):
            matrix, offset = placed.pose(time)
            hull = np.concatenate([part.hull() for part in placed.parts], axis=1)
            x, y, z = matrix @ hull + offset[:, None]
            hop = 0.0 if placed.motion is None else placed.motion.hop
            assert -0.02 < y.min() < hop + 0.02
            assert np.abs(x).max() < scene.room.half_width + 0.01
            assert z.min() > 0 and z.max() < scene.room.depth + 0.01


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
def test_objects_are_visible_varied_and_textured(kind: ObjectClass) -> None:
    random = np.random.default_rng(3)
    images = []
    for _ in range(2):
        scene, camera = still_scenes.portrait_scene(random, kind, CLASSES, 96, 96)
        rendering = renderer.render(scene, camera)
        kinds = [placed.kind for placed in scene.objects]
        visible = rendering.object_index == kinds.index(kind)
        assert visible.mean() > 0.03
        assert rendering.image[visible].std() > 8
        images.append(rendering.image)
    assert np.abs(images[0].astype(int) - images[1]).mean() > 10


def test_classes_have_different_names_and_folders() -> None:
    assert len({kind.folder for kind in CLASSES}) == len(CLASSES)
    assert len({kind.name for kind in CLASSES}) == len(CLASSES)


def test_the_smallest_world_has_a_class_that_moves_and_another() -> None:
    assert {kind.moves for kind in CLASSES[:2]} == {True, False}
