"""Suites of constructed scenes, each of one difficulty."""

from __future__ import annotations

import dataclasses
from typing import Callable

import numpy as np

from tests.data_prep.trajectories.scenes import Layer, Path, Scene

# Names of the photos of (background, object); every third scene also has a static wall
# in front of its background.
_PHOTOS = (
    ("coffee", "astronaut"),
    ("rocket", "coffee"),
    ("chelsea", "grass"),
    ("astronaut", "gravel"),
    ("brick", "immunohistochemistry"),
    ("grass", "rocket"),
    ("camera", "coins"),
    ("immunohistochemistry", "brick"),
    ("moon", "camera"),
    ("page", "chelsea"),
)


def moving_objects() -> list[Scene]:
    """Ten scenes: a textured object, and a camera that pans, zooms, turns and shakes."""
    rng = np.random.default_rng(1)
    return [_scene(index, rng) for index in range(len(_PHOTOS))]


def slow_objects() -> list[Scene]:
    """The same with objects at two fifths of their speed, which wobble."""
    return [_with_object(scene, _slowed) for scene in moving_objects()]


def large_objects() -> list[Scene]:
    """The same with objects that cover about a third of the frame."""
    return [
        _with_object(scene, lambda layer: dataclasses.replace(layer, radii=(100, 85)))
        for scene in moving_objects()
    ]


def static_scenes() -> list[Scene]:
    """The same without objects."""
    return [dataclasses.replace(scene, layers=()) for scene in moving_objects()]


def fast_cameras() -> list[Scene]:
    """The same with a camera that pans by 12 to 25 pixels per frame."""
    rng = np.random.default_rng(2)
    suite = []
    for scene in moving_objects():
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(12, 25)
        pan = speed * np.cos(angle), speed * np.sin(angle)
        path = dataclasses.replace(scene.camera, pan=pan)
        suite.append(dataclasses.replace(scene, camera=path))
    return suite


def _scene(index: int, rng: np.random.Generator) -> Scene:
    background, texture = _PHOTOS[index]
    camera = Path(
        pan=tuple(rng.uniform(-3, 3, 2)),
        zoom=1 + rng.uniform(-0.008, 0.008),
        degrees=rng.uniform(-0.5, 0.5),
        shake=rng.choice([0, 0.7]),
    )
    own = Path(
        pan=tuple(rng.choice([-1, 1], 2) * rng.uniform(1.5, 4, 2)),
        degrees=rng.uniform(-1, 1),
    )
    centre = rng.uniform(90, 230), rng.uniform(80, 160)
    radii = int(rng.uniform(25, 60)), int(rng.uniform(25, 50))
    layers = [Layer(texture, centre, radii, own)]
    if index % 3 == 2:
        wall = Layer("brick", (60, 180), (50, 40), Path(pan=(0.9, 0.3)), moving=False)
        layers.insert(0, wall)
    return Scene(background, camera, tuple(layers), (1, 2, 4)[index % 3], index)


def _with_object(scene: Scene, change: Callable[[Layer], Layer]) -> Scene:
    layers = [change(layer) if layer.moving else layer for layer in scene.layers]
    return dataclasses.replace(scene, layers=tuple(layers))


def _slowed(layer: Layer) -> Layer:
    pan = tuple(0.4 * speed for speed in layer.own.pan)
    own = dataclasses.replace(layer.own, pan=pan, shake=0.3)
    return dataclasses.replace(layer, own=own)
