"""Depth, motion and identity of every pixel, against geometry done another way."""

import dataclasses

import numpy as np
import pytest

from data_prep.synthetic import films, objects, parts, renderer, shots, staging
from data_prep.synthetic.scene import Camera, Scene

HEIGHT, WIDTH = 96, 128


def _empty_scene(seed=0):
    random = np.random.default_rng(seed)
    room, _ = staging.draw_room(random)
    lights, ambient = staging.draw_lights(random, room)
    return Scene(room, (), lights, ambient)


def _camera(position=(0.0, 1.2, 0.0), turn=None):
    turn = np.eye(3) if turn is None else turn
    return Camera(np.array(position), turn, 100.0, HEIGHT, WIDTH)


@pytest.fixture(scope="module", params=range(3))
def film(request):
    random = np.random.default_rng([5, request.param])
    return films.film_scene(random, 8, HEIGHT, WIDTH, 12)


def test_planes_have_the_depth_of_the_pinhole_model():
    scene = _empty_scene()
    depth = renderer.render(scene, _camera()).depth
    assert depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(scene.room.depth, rel=1e-6)
    rows = np.arange(HEIGHT) + 0.5 - HEIGHT / 2
    floor = 1.2 * 100.0 / np.maximum(rows, 1e-9)
    expected = np.minimum(floor, scene.room.depth)[rows > 0]
    np.testing.assert_allclose(depth[rows > 0, WIDTH // 2], expected, rtol=1e-5)


def test_a_ball_is_where_it_was_put_and_as_large():
    random = np.random.default_rng(2)
    ball = staging.moved_to(staging.draw_thing(random, objects.CLASSES[0]), 0.3, 3.0)
    scene = dataclasses.replace(_empty_scene(), things=(ball,))
    radius = ball.position[1]
    camera = _camera((0.3, radius, 0.0))
    rendering = renderer.render(scene, camera)
    seen = rendering.thing == 0
    assert rendering.depth[seen].min() == pytest.approx(3.0 - radius, abs=2e-3)
    # The outline of a ball is seen under an angle whose sine is radius / distance.
    outline = 100.0 * np.tan(np.arcsin(radius / 3.0))
    assert seen.sum() == pytest.approx(np.pi * outline**2, rel=0.03)


def test_static_points_are_where_the_camera_motion_takes_them(film):
    scene, work = film
    first, last = work.camera(0), work.camera(10)
    before, after = (
        renderer.render(scene, first, 0.0),
        renderer.render(scene, last, 10.0),
    )
    rows, columns = np.nonzero(films.moving_mask(scene, before) == 0)
    rays = first.directions(columns + 0.5, rows + 0.5)
    points = first.position[:, None] + rays * before.depth[rows, columns]
    u, v, depth = last.project(points)
    inside = (u >= 0) & (u < WIDTH) & (v >= 0) & (v < HEIGHT)
    rows, columns, u, v, depth = (one[inside] for one in (rows, columns, u, v, depth))
    row, column = v.astype(int), u.astype(int)
    # The world point at that pixel, half a pixel away at most, seen from the first
    # camera again: back within a pixel and a half where nothing came between.
    rays = last.directions(column + 0.5, row + 0.5)
    back = last.position[:, None] + rays * after.depth[row, column]
    u_back, v_back, _ = first.project(back)
    visible = np.abs(after.depth[row, column] - depth) < 0.05 * depth
    away = np.hypot(u_back - columns - 0.5, v_back - rows - 0.5)[visible]
    assert visible.mean() > 0.8
    assert np.quantile(away, 0.98) < 1.0


def test_pictures_move_as_depth_and_camera_say(film):
    scene, work = film
    still = dataclasses.replace(
        scene, things=tuple(one for one in scene.things if one.motion is None)
    )
    first, last = work.camera(0), work.camera(11)
    # Far enough apart to tell.
    last = dataclasses.replace(last, turn=parts.yaw(0.04) @ last.turn)
    one, other = renderer.render(still, first), renderer.render(still, last)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    rays = first.directions(columns + 0.5, rows + 0.5)
    points = first.position[:, None] + rays * one.depth.ravel()
    u, v, _ = last.project(points)
    inside = (u >= 0) & (u < WIDTH) & (v >= 0) & (v < HEIGHT)
    there = other.image[v[inside].astype(int), u[inside].astype(int)].astype(float)
    here = one.image.reshape(-1, 3)[inside].astype(float)
    unmoved = other.image.reshape(-1, 3)[inside].astype(float)
    assert np.abs(there - here).mean() < 0.6 * np.abs(unmoved - here).mean()


def test_mask_is_what_the_moving_objects_hide(film):
    """Without them, depth changes in the mask and nowhere else."""
    scene, work = film
    camera = work.camera(4)
    whole = renderer.render(scene, camera, 4.0)
    rest = tuple(thing for thing in scene.things if thing.motion is None)
    assert len(rest) < len(scene.things)
    without = renderer.render(dataclasses.replace(scene, things=rest), camera, 4.0)
    changed = without.depth != whole.depth
    np.testing.assert_array_equal(films.moving_mask(scene, whole) == 1, changed)


def test_what_moves_moves_in_every_frame_and_what_rests_rests(film):
    scene, _ = film
    kinds = {thing.kind for thing in scene.things if thing.motion is not None}
    assert kinds and all(kind.moves for kind in kinds)
    for frame in range(11):
        for thing in scene.things:
            now, then = thing.pose(frame), thing.pose(frame + 1)
            still = all(np.array_equal(*both) for both in zip(now, then))
            assert still == (thing.motion is None)


def test_moving_objects_move_by_pixels(film):
    scene, work = film
    for thing in scene.things:
        if thing.motion is None:
            continue
        camera = work.camera(6)
        places = np.stack([thing._moved(time)[0] for time in (-0.5, 0.5)], axis=1)
        u, v, _ = camera.project(places)
        assert 0.3 < np.hypot(*np.diff([u, v])[:, 0]) < 12


def test_things_stand_on_the_floor_and_in_the_room(film):
    scene, _ = film
    for thing in scene.things:
        if thing.kind is None:
            continue
        for time in (0.0, 6.0):
            matrix, offset = thing.pose(time)
            hull = np.concatenate([part.hull() for part in thing.parts], axis=1)
            x, y, z = matrix @ hull + offset[:, None]
            hop = 0.0 if thing.motion is None else thing.motion.hop
            assert -0.02 < y.min() < hop + 0.02
            assert np.abs(x).max() < scene.room.half_width + 0.01
            assert z.min() > 0 and z.max() < scene.room.depth + 0.01


@pytest.mark.parametrize("kind", objects.CLASSES, ids=lambda kind: kind.name)
def test_classes_are_seen_vary_and_are_textured(kind):
    random = np.random.default_rng(3)
    images = []
    for _ in range(2):
        scene, camera = shots.portrait_scene(random, kind, 12, 96, 96)
        rendering = renderer.render(scene, camera)
        kinds = [thing.kind for thing in scene.things]
        seen = rendering.thing == kinds.index(kind)
        assert seen.mean() > 0.03
        assert rendering.image[seen].std() > 8
        images.append(rendering.image)
    assert np.abs(images[0].astype(int) - images[1]).mean() > 10


def test_class_folders_have_names_of_their_own():
    assert len({kind.folder for kind in objects.CLASSES}) == len(objects.CLASSES)
    assert len({kind.name for kind in objects.CLASSES}) == len(objects.CLASSES)
    assert any(kind.moves for kind in objects.CLASSES[:2])
    assert not all(kind.moves for kind in objects.CLASSES[:2])
