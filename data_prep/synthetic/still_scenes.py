"""Draws scenes at rest, each with the camera that looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import placement, rooms, rotations
from data_prep.synthetic.arrays import Float32, Floats
from data_prep.synthetic.object_classes import ObjectClass
from data_prep.synthetic.scene import Camera, Room, Scene

# Smallest distance from the camera to the middle of an object in a room, in metres.
_NEAREST = 1.5


def level_camera(random: Generator, height: int, width: int) -> Camera:
    """Draws a camera at eye level that looks into the room and a little down."""
    rotation = rotations.yaw(random.uniform(-0.3, 0.3))
    rotation = rotation @ rotations.pitch(random.uniform(0.08, 0.3))
    rotation = rotation @ rotations.roll(random.normal(0, 0.02))
    position = np.array([random.uniform(-0.6, 0.6), random.uniform(1.0, 1.6), 0.0])
    focal = width * random.uniform(0.85, 1.15)
    return Camera(position, rotation, focal, height, width)


def place_in_view(
    random: Generator, camera: Camera, room: Room, farthest: float = 10.0
) -> tuple[float, float]:
    """Draws a place on the floor that the camera sees.

    Args:
      random: generator.
      camera: the camera.
      room: the room.
      farthest: largest distance in metres.

    Returns:
      (x, z).
    """
    farthest = min(farthest, max(_NEAREST + 0.1, room.depth - 0.6))
    depth = random.uniform(_NEAREST, farthest)
    across = random.uniform(-0.45, 0.45) * camera.width / camera.focal
    forward = camera.rotation[[0, 2], 2] / np.hypot(*camera.rotation[[0, 2], 2])
    right = np.array([forward[1], -forward[0]])
    x, z = camera.position[[0, 2]] + depth * (forward + across * right)
    return x, z


def room_scene(
    random: Generator, kinds: Sequence[ObjectClass], height: int, width: int, count: int
) -> tuple[Scene, Camera]:
    """Draws a furnished room with objects.

    Args:
      random: generator.
      kinds: classes of the objects.
      height, width: of the image.
      count: number of objects to draw; those for which no free place is found are left
        out.
    """
    room, furniture = rooms.draw_room(random)
    scene_objects = [furniture]
    camera = level_camera(random, height, width)
    lights, ambient = rooms.draw_lights(random, room)
    for kind in placement.draw_classes(random, kinds, count):
        placement.add_object(
            scene_objects,
            placement.draw_object(random, kind),
            room,
            lambda: place_in_view(random, camera, room),
        )
    return Scene(room, tuple(scene_objects), lights, ambient), camera


def portrait_scene(
    random: Generator,
    kind: ObjectClass,
    kinds: Sequence[ObjectClass],
    height: int,
    width: int,
) -> tuple[Scene, Camera]:
    """Draws an object close to the camera, with a few others around it.

    Args:
      random: generator.
      kind: class of the main object.
      kinds: classes of the other objects.
      height, width: of the image.
    """
    room, furniture = rooms.draw_room(random)
    lights, ambient = rooms.draw_lights(random, room)
    main = placement.draw_object(random, kind)
    focal = max(height, width) * random.uniform(0.95, 1.3)
    share = random.uniform(0.4, 0.85)
    extent = 2 * max(main.position[1], 0.8 * main.radius)
    distance = max(focal * extent / (share * min(height, width)), 0.8 + main.radius)
    bearing = random.uniform(-0.3, 0.3)
    main = placement.moved_to(main, *_polar(bearing, distance))
    scene_objects = [furniture, main]
    drawn = placement.draw_classes(random, kinds, 3)
    others = [other for other in drawn if other != kind]
    for other in others[: int(random.integers(1, 4))]:
        drawn_object = placement.draw_object(random, other)
        draw_place = _around(
            random, bearing, distance, main.radius + drawn_object.radius
        )
        placement.add_object(scene_objects, drawn_object, room, draw_place)
    position = np.array([0.0, random.uniform(0.5, 1.3), 0.0])
    target = main.position + random.normal(0, 0.12, 3) * extent
    camera = Camera(position, _look_at(position, target), focal, height, width)
    return Scene(room, tuple(scene_objects), lights, ambient), camera


def _polar(bearing: float, distance: float) -> tuple[float, float]:
    return distance * np.sin(bearing), distance * np.cos(bearing)


def _around(
    random: Generator, bearing: float, distance: float, clearance: float
) -> Callable[[], tuple[float, float]]:
    """Makes a function that draws places around the main object.

    Args:
      random: generator.
      bearing, distance: of the main object.
      clearance: smallest distance to its middle, in metres.
    """

    def draw() -> tuple[float, float]:
        if random.random() < 0.8:
            return _polar(
                bearing + random.uniform(-0.5, 0.5),
                distance + clearance + random.uniform(0, 2.0),
            )
        # To the side and nearer, where it can only hide a part of the main object.
        side = random.choice([-1, 1]) * clearance / distance
        return _polar(
            bearing + side * random.uniform(0.8, 1.6), distance * random.uniform(0.8, 1)
        )

    return draw


def _look_at(position: Floats, target: Floats) -> Float32:
    """The rotation of a camera at `position` that looks at `target`."""
    x, y, z = target - position
    pitch = rotations.pitch(-np.arctan2(y, np.hypot(x, z)))
    return rotations.yaw(np.arctan2(x, z)) @ pitch
