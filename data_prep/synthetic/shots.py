"""Cameras and the scenes before them, one function for each sort of picture."""

import numpy as np

from data_prep.synthetic import parts, staging
from data_prep.synthetic.scene import Camera, Scene

# Things in rooms stand at least this far from the camera, in metres, to their middle.
_NEAREST = 1.5


def level_camera(random, height, width):
    """A camera at a person's height that looks into the room, a little down."""
    turn = parts.yaw(random.uniform(-0.3, 0.3))
    turn = turn @ parts.pitch(random.uniform(0.08, 0.3))
    turn = turn @ parts.roll(random.normal(0, 0.02))
    position = np.array([random.uniform(-0.6, 0.6), random.uniform(1.0, 1.6), 0.0])
    return Camera(position, turn, width * random.uniform(0.85, 1.15), height, width)


def place_in_view(random, camera, room, farthest=10.0):
    """A place on the floor that the camera sees, `farthest` metres off at most: (x, z)."""
    farthest = min(farthest, max(_NEAREST + 0.1, room.depth - 0.6))
    depth = random.uniform(_NEAREST, farthest)
    across = random.uniform(-0.45, 0.45) * camera.width / camera.focal
    forward = camera.turn[[0, 2], 2] / np.hypot(*camera.turn[[0, 2], 2])
    right = np.array([forward[1], -forward[0]])
    x, z = camera.position[[0, 2]] + depth * (forward + across * right)
    return x, z


def room_scene(random, classes, height, width, count):
    """A furnished room with up to `count` objects: (`Scene`, `Camera`)."""
    room, things = staging.draw_room(random)
    camera = level_camera(random, height, width)
    lights, ambient = staging.draw_lights(random, room)
    for kind in staging.draw_kinds(random, classes, count):
        thing = staging.draw_thing(random, kind)
        thing = staging.place_among(
            random, thing, things, room, lambda: place_in_view(random, camera, room)
        )
        if thing is not None:
            things.append(thing)
    return Scene(room, tuple(things), lights, ambient), camera


def portrait_scene(random, kind, classes, height, width):
    """One object close by among others further off: (`Scene`, `Camera`)."""
    room, things = staging.draw_room(random)
    lights, ambient = staging.draw_lights(random, room)
    main = staging.draw_thing(random, kind)
    focal = max(height, width) * random.uniform(0.95, 1.3)
    share = random.uniform(0.4, 0.85)
    extent = 2 * max(main.position[1], 0.8 * main.radius)
    distance = max(focal * extent / (share * min(height, width)), 0.8 + main.radius)
    bearing = random.uniform(-0.3, 0.3)
    main = staging.moved_to(main, *_polar(bearing, distance))
    things.append(main)
    others = [one for one in staging.draw_kinds(random, classes, 3) if one != kind]
    for other in others[: int(random.integers(1, 4))]:
        thing = staging.draw_thing(random, other)
        place = _beside(random, bearing, distance, main.radius + thing.radius)
        thing = staging.place_among(random, thing, things, room, place)
        if thing is not None:
            things.append(thing)
    position = np.array([0.0, random.uniform(0.5, 1.3), 0.0])
    target = main.position + random.normal(0, 0.12, 3) * extent
    camera = Camera(position, _look(position, target), focal, height, width)
    return Scene(room, tuple(things), lights, ambient), camera


def _polar(bearing, distance):
    return distance * np.sin(bearing), distance * np.cos(bearing)


def _beside(random, bearing, distance, clearance):
    """Draws places behind the main object, and a few beside and before it."""

    def draw():
        if random.random() < 0.8:
            return _polar(
                bearing + random.uniform(-0.5, 0.5),
                distance + clearance + random.uniform(0, 2.0),
            )
        # Beside it and nearer: hides a part of it at most.
        side = random.choice([-1, 1]) * clearance / distance
        return _polar(
            bearing + side * random.uniform(0.8, 1.6), distance * random.uniform(0.8, 1)
        )

    return draw


def _look(position, target):
    """The rotation of a camera at `position` that looks at `target`."""
    x, y, z = target - position
    return parts.yaw(np.arctan2(x, z)) @ parts.pitch(-np.arctan2(y, np.hypot(x, z)))
