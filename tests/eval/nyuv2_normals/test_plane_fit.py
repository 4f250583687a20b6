"""Normals from depth: planes, spheres, and the renderer's rooms with their true normals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from data_prep.synthetic import nyu_layout, object_classes, ray_tracing, still_scenes
from data_prep.synthetic.renderer import render
from eval.nyuv2_normals.angle_metrics import degrees_between
from eval.nyuv2_normals.config import Config
from eval.nyuv2_normals.plane_fit import Camera, PlaneFit, normals

CAMERA = Camera(0.9, 1.2, 0.48, 0.53)
SIZE = (60, 80)
# A window of 5 pixels at this width.
FIT = PlaneFit(window=0.06, known=0.5, error=0.02)


def _rays(size, camera):
    """Directions of the pixels, z = 1: float64 [H, W, 3], x right, y down, z forward."""
    v, u = np.mgrid[: size[0], : size[1]] + 0.5
    x = (u / size[1] - camera.centre_x) / camera.focal_x
    y = (v / size[0] - camera.centre_y) / camera.focal_y
    return np.stack([x, y, np.ones(size)], axis=-1)


def _plane(normal, distance, size=SIZE, camera=CAMERA):
    """Depth of the plane whose normal (x right, y up, z to the camera) is given."""
    x, y, z = normal
    return distance / (_rays(size, camera) @ [-x, y, z])


def _normals(depth, camera=CAMERA, fit=FIT):
    return normals(tf.constant(depth, tf.float32), camera, fit).numpy()


def _known(vectors):
    return np.any(vectors != 0, axis=-1)


@pytest.mark.parametrize(
    "normal",
    [(0, 0, 1), (0, 0.96, 0.28), (0.6, 0, 0.8), (-0.6, 0, 0.8), (0.48, -0.6, 0.64)],
)
def test_planes_are_exact(normal):
    """A wall ahead, a floor, walls to the left and to the right, a slanted ceiling."""
    depth = _plane(normal, 2.0)
    # Planes are seen where they are in front of the camera.
    depth = np.where((depth > 0) & (depth < 50), depth, 0)
    vectors = _normals(depth)
    known = _known(vectors)
    assert known.mean() > 0.45
    angles = degrees_between(vectors[known], np.broadcast_to(normal, (known.sum(), 3)))
    assert angles.max() < 0.05
    np.testing.assert_allclose(np.linalg.norm(vectors[known], axis=-1), 1, rtol=1e-5)


def test_a_sphere_is_close():
    """The middle of a ball of 0.5 m at 2 m, where a window sees a small part of it."""
    rays, centre, radius = _rays(SIZE, CAMERA), np.array([0.1, 0.05, 2.0]), 0.5
    squares = np.sum(rays**2, axis=-1)
    along = rays @ centre
    root = along**2 - squares * (centre @ centre - radius**2)
    hit = root > 0
    depth = np.where(hit, (along - np.sqrt(np.maximum(root, 0))) / squares, 0)
    truth = (rays * depth[..., None] - centre) / radius * [1, -1, -1]
    vectors = _normals(depth)
    inner = _known(vectors) & (truth[..., 2] > 0.8)
    assert inner.sum() > 80
    angles = degrees_between(vectors[inner], truth[inner])
    assert angles.max() < 4
    assert angles.mean() < 1


def test_unknown_depth_and_edges_have_no_normal():
    depth = _plane((0, 0, 1), 2.0)
    depth[:, 40:] = 3.0
    depth[10:20, 10:20] = 0
    known = _known(_normals(depth))
    # Windows of 5 pixels that reach across the edge at column 40.
    assert not known[:, 38:42].any()
    assert known[25:, :38].mean() > 0.98
    assert known[:, 42:].mean() > 0.98
    assert not known[10:20, 10:20].any()
    # The pixel above the hole has 15 of 25 pixels, that at its corner 21.
    assert known[9, 10:20].all()
    strict = _known(_normals(depth, fit=PlaneFit(0.06, 0.8, 0.02)))
    assert not strict[9, 11:19].any()
    assert strict[9, 9]


def test_a_map_without_depth_has_no_normals():
    assert not _normals(np.zeros(SIZE)).any()


def test_the_window_grows_with_the_map():
    """0.03 of the width are 21 pixels of 640 and 11 of 320: noise is averaged more."""
    random = np.random.default_rng(0)
    errors = []
    for size in ((30, 320), (30, 640)):
        depth = _plane((0, 0, 1), 2.0, size) * (
            1 + 0.002 * random.standard_normal(size)
        )
        vectors = _normals(depth, fit=Config().plane_fit)
        known = _known(vectors)
        assert known.mean() > 0.9
        facing = np.broadcast_to((0, 0, 1), (known.sum(), 3))
        errors.append(degrees_between(vectors[known], facing).mean())
    assert errors[1] < errors[0] < 6


def _true_normals(scene, camera):
    """Normals of the surfaces that the pixels of a rendering see: [H, W, 3]."""
    placed = ray_tracing.place_parts(scene, 0.0)
    rays = ray_tracing.Rays(camera, ray_tracing.PixelGrid(camera.height, camera.width))
    hits = ray_tracing.trace(scene.room, placed, rays)
    vectors = np.zeros((3, hits.depth.size))
    for index in np.unique(hits.part):
        chosen = np.flatnonzero(hits.part == index)
        if index >= 0:
            part = placed[index]
            outward, _ = part.part.solid.surface(part.local(hits.points(chosen)))
            vectors[:, chosen] = part.inverse.T @ outward
        else:
            axes = {ray_tracing.WALL_X: 0, ray_tracing.WALL_Z: 2}
            axis = axes.get(index, 1)
            vectors[axis, chosen] = -np.sign(rays.direction[axis, chosen])
    right, up, forward = camera.rotation.T @ (vectors / np.linalg.norm(vectors, axis=0))
    shape = (camera.height, camera.width, 3)
    return np.stack([right, up, -forward], axis=-1).reshape(shape)


def _room(seed):
    """(scene, camera, rendering, true normals) of a room of the synthetic world."""
    random = np.random.default_rng(seed)
    scene, camera = still_scenes.room_scene(random, object_classes.CLASSES, 240, 320, 6)
    return camera, render(scene, camera), _true_normals(scene, camera)


@pytest.mark.parametrize("seed", [0, 1])
def test_rooms_have_the_renderers_normals(seed):
    """Exact depth: most pixels are known, and nearly all of these within few degrees."""
    camera, rendering, truth = _room(seed)
    scale = Camera(camera.focal / camera.width, camera.focal / camera.height)
    vectors = _normals(rendering.depth, scale, Config().plane_fit)
    known = _known(vectors)
    angles = degrees_between(vectors[known], truth[known])
    assert known.mean() > 0.8
    assert np.median(angles) < 0.05
    assert angles.mean() < 3
    assert np.mean(angles < 11.25) > 0.92


def test_noisy_depth_of_rooms_is_close():
    """Depth as a Kinect senses it: holes, and noise that grows with its square."""
    camera, rendering, truth = _room(0)
    sensed = nyu_layout.sense(rendering, np.random.default_rng(0))
    scale = Camera(camera.focal / camera.width, camera.focal / camera.height)
    vectors = _normals(sensed, scale, Config().plane_fit)
    known = _known(vectors)
    angles = degrees_between(vectors[known], truth[known])
    assert known.mean() > 0.4
    assert np.median(angles) < 3
    assert np.mean(angles < 30) > 0.96
