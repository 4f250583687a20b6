"""Draws objects of the classes and finds free places for them in a room."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Callable

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import rotations
from data_prep.synthetic.object_classes import ObjectClass
from data_prep.synthetic.scene import Room, SceneObject

# Metres between an object and walls or other objects.
_GAP = 0.05
# Depth of the furniture at the back wall, in metres.
_FURNITURE_DEPTH = 0.4
_ATTEMPTS = 30
# Points around round parts, enough to find out on what an object rests.
_FINE = 64


def draw_classes(
    random: Generator, kinds: Sequence[ObjectClass], count: int
) -> list[ObjectClass]:
    """Draws `count` of some classes, with repetition."""
    return [kinds[index] for index in random.integers(len(kinds), size=count)]


def draw_object(
    random: Generator, kind: ObjectClass, yaw: float | None = None
) -> SceneObject:
    """Draws an object that rests on the floor at x = z = 0.

    Args:
      random: generator.
      kind: its class.
      yaw: the direction that it looks in, in radians; None for any.
    """
    parts = tuple(kind.build(random))
    rotation = rotations.yaw(random.uniform(0, 2 * np.pi) if yaw is None else yaw)
    if kind.rolls:
        rotation = rotation @ rotations.pitch(random.uniform(0, 2 * np.pi))
        rotation = rotation @ rotations.roll(random.uniform(0, 2 * np.pi))
    elif random.random() < kind.lies:
        # Lies down, and is turned by any angle about its own axis.
        rotation = rotation @ rotations.pitch(np.pi / 2)
        rotation = rotation @ rotations.yaw(random.uniform(0, 2 * np.pi))
    size = random.uniform(*kind.sizes)
    hull = np.concatenate([part.hull(_FINE) for part in parts], axis=1)
    pivot = (hull.min(axis=1) + hull.max(axis=1)) / 2
    away = size * (rotation @ (hull - pivot[:, None]))
    return SceneObject(
        parts=parts,
        size=size,
        position=np.array([0.0, -away[1].min(), 0.0]),
        rotation=rotation,
        pivot=pivot,
        radius=float(np.hypot(away[0], away[2]).max()),
        kind=kind,
    )


def moved_to(scene_object: SceneObject, x: float, z: float) -> SceneObject:
    """Returns the object at another place on the floor."""
    position = np.array([x, scene_object.position[1], z])
    return dataclasses.replace(scene_object, position=position)


def add_object(
    scene_objects: list[SceneObject],
    scene_object: SceneObject,
    room: Room,
    draw_place: Callable[[], tuple[float, float]],
) -> None:
    """Adds an object at a free place, or leaves it out if all attempts fail.

    Args:
      scene_objects: what stands in the room already; the object is appended.
      scene_object: the object.
      room: the room.
      draw_place: draws an (x, z) to try.
    """
    for _ in range(_ATTEMPTS):
        x, z = draw_place()
        moved = moved_to(scene_object, x, z)
        if is_free(moved, scene_objects, room):
            scene_objects.append(moved)
            return


def is_free(
    scene_object: SceneObject, others: Iterable[SceneObject], room: Room
) -> bool:
    """Tells whether an object, where it is, touches neither walls nor other objects."""
    x, _, z = scene_object.position
    radius = scene_object.radius
    margin = radius + _GAP
    farthest = room.depth - _FURNITURE_DEPTH - margin
    if abs(x) > room.half_width - margin or not margin < z < farthest:
        return False
    return all(
        np.hypot(x - other.position[0], z - other.position[2])
        > radius + other.radius + _GAP
        for other in others
        if other.kind is not None
    )
