"""Draws rooms, things and their places."""

import dataclasses

import numpy as np

from data_prep.synthetic import colors, objects, parts, textures
from data_prep.synthetic.scene import Light, Room, Thing

ROOM_TEXTURE = 256
# Floor patterns with the family of their colors, the joints' family and metres a tile.
_FLOORS = (
    ("planks", "wood", "dark", 1.2),
    ("tiles", "tile", "pale", 1.6),
    ("checks", "tile", "tile", 1.8),
    ("blotches", "carpet", "carpet", 1.5),
    ("dots", "carpet", "any", 1.2),
    ("stripes", "carpet", "carpet", 1.6),
)
_WALLS = (
    ("plain", "plaster", "plaster", 2.4),
    ("stripes", "plaster", "plaster", 1.6),
    ("dots", "plaster", "any", 1.4),
    ("bricks", "brick", "pale", 1.5),
    ("planks", "wood", "dark", 1.6),
    ("blotches", "plaster", "plaster", 2.4),
    ("tiles", "plaster", "pale", 1.2),
)
# Metres between a thing and the walls, and around a thing.
_GAP = 0.05
_TRIES = 30
# Points around round parts, to tell on what a thing rests.
_FINE = 64


def draw_room(random):
    """A room with its fittings: (`Room`, list of `Thing`)."""
    floor, floor_tile = _surface(random, _FLOORS)
    walls, wall_tile = _surface(random, _WALLS)
    ceiling = textures.paint(
        random, "plain", colors.draw(random, "pale"), (1, 1, 1), 0.04, 64
    )
    room = Room(
        half_width=random.uniform(1.8, 3.6),
        depth=random.uniform(4.0, 7.5),
        height=random.uniform(2.4, 3.0),
        floor=floor,
        walls=walls,
        ceiling=ceiling,
        tile=(floor_tile, wall_tile, 2.0),
    )
    return room, _fittings(random, room)


def _surface(random, choices):
    pattern, first, second, tile = choices[random.integers(len(choices))]
    streaks = 8 if pattern == "planks" else 1
    ground = colors.draw(random, first)
    other = colors.draw(random, second)
    if first == second:
        # Two shades of one color rather than two colors.
        other = np.clip(ground * random.uniform(0.6, 1.25), 0.05, 0.98)
    texture = textures.paint(
        random, pattern, ground, other, 0.09, ROOM_TEXTURE, streaks
    )
    return texture, tile * random.uniform(0.8, 1.3)


def draw_lights(random, room):
    """(lamps, ambient color): a lamp near the ceiling and a fainter, cooler one."""
    warm = np.float32([1.0, random.uniform(0.85, 1.0), random.uniform(0.65, 1.0)])
    cool = np.float32([random.uniform(0.75, 1.0), random.uniform(0.85, 1.0), 1.0])
    strength = random.uniform(1.0, 1.6)
    main = Light(
        np.array(
            [
                random.uniform(-0.8, 0.8) * room.half_width,
                room.height - 0.3,
                random.uniform(0.2, 3.0),
            ]
        ),
        1.5 * strength * warm,
        random.uniform(2.0, 3.5),
    )
    second = Light(
        np.array(
            [
                random.choice([-0.9, 0.9]) * room.half_width,
                random.uniform(1.0, 2.0),
                random.uniform(-1, room.depth - 0.5),
            ]
        ),
        random.uniform(0.2, 0.7) * cool,
        1.5,
    )
    return (main, second), random.uniform(0.4, 0.65) * (warm + cool) / 2


def _fittings(random, room):
    """Things that belong to the room: skirting, pictures, a rug, a cupboard."""
    built = _skirting(random, room)
    for _ in range(int(random.integers(1, 5))):
        built.append(_wall_picture(random, room))
    if random.random() < 0.6:
        built.append(_rug(random, room))
    if random.random() < 0.6:
        built += _cupboard(random, room)
    origin = np.zeros(3)
    return [Thing(tuple(built), 1.0, origin, np.eye(3), origin)]


def _skirting(random, room):
    texture = textures.paint(
        random,
        "plain",
        colors.draw(random, random.choice(["pale", "wood", "dark"])),
        (1, 1, 1),
        0.05,
        64,
    )
    high, thick = random.uniform(0.08, 0.2), 0.02
    w, d = room.half_width, room.depth
    return [
        parts.box(texture, (-w, 0, d - thick), (w, high, d)),
        parts.box(texture, (-w, 0, -1), (-w + thick, high, d)),
        parts.box(texture, (w - thick, 0, -1), (w, high, d)),
    ]


def _wall_picture(random, room):
    """A picture, window or door on one of the walls."""
    texture = textures.picture(random)
    w, h = random.uniform(0.25, 0.7), random.uniform(0.25, 0.6)
    y = random.uniform(1.1, max(1.2, room.height - h - 0.3))
    if random.random() < 0.25:
        w, h, y = 0.42, 1.0, 1.0
        texture = textures.paint(
            random,
            random.choice(["tiles", "planks"]),
            colors.draw(random, random.choice(["wood", "pale", "any"])),
            colors.draw(random, "dark"),
        )
    out = 0.03
    if random.random() < 0.6:
        x = random.uniform(-1, 1) * max(room.half_width - w, 0.1)
        low, high = (x - w, y - h, room.depth - out), (x + w, y + h, room.depth)
    else:
        wall = random.choice([-1, 1]) * room.half_width
        z = random.uniform(1.5, room.depth - w)
        inner = wall - np.sign(wall) * out
        low = (min(wall, inner), y - h, z - w)
        high = (max(wall, inner), y + h, z + w)
    return parts.box(texture, low, high)


def _rug(random, room):
    texture = textures.paint(
        random,
        random.choice(["stripes", "checks", "dots", "blotches", "tiles"]),
        colors.draw(random, "carpet"),
        colors.draw(random, "carpet"),
        0.15,
    )
    half_x, half_z = random.uniform(0.5, 1.3), random.uniform(0.5, 1.0)
    x = random.uniform(-0.5, 0.5) * room.half_width
    z = random.uniform(1.5, room.depth - 1)
    turn = parts.yaw(random.uniform(-0.4, 0.4))
    low, high = (x - half_x, 0, z - half_z), (x + half_x, 0.012, z + half_z)
    return parts.box(texture, low, high, turn)


def _cupboard(random, room):
    """A piece of furniture at the back wall."""
    body = textures.paint(
        random,
        "planks",
        colors.draw(random, random.choice(["wood", "pale", "any"])),
        colors.draw(random, "dark"),
        0.12,
        streaks=8,
    )
    w, h, d = random.uniform((0.4, 0.5, 0.2), (1.0, 1.7, 0.3))
    x = random.uniform(-1, 1) * (room.half_width - w)
    back = room.depth
    pieces = [parts.box(body, (x - w, 0, back - d), (x + w, h, back))]
    front = textures.paint(
        random,
        random.choice(["tiles", "stripes", "plain"]),
        colors.draw(random, random.choice(["wood", "pale", "any"])),
        colors.draw(random, "dark"),
        0.1,
    )
    rows, margin = int(random.integers(1, 4)), 0.04
    for row in range(rows):
        low = margin + row * (h - margin) / rows
        high = (row + 1) * (h - margin) / rows
        pieces.append(
            parts.box(
                front,
                (x - w + margin, low, back - d - 0.02),
                (x + w - margin, high, back - d),
            )
        )
    return pieces


def draw_thing(random, kind, yaw=None):
    """An object of a class at the origin: rests on the floor at x = z = 0."""
    built = tuple(kind.build(random))
    turn = parts.yaw(random.uniform(0, 2 * np.pi) if yaw is None else yaw)
    if kind.rolls:
        turn = turn @ parts.pitch(random.uniform(0, 2 * np.pi))
        turn = turn @ parts.roll(random.uniform(0, 2 * np.pi))
    elif random.random() < kind.lies:
        # On its side, rolled to any side about its own axis.
        turn = turn @ parts.pitch(np.pi / 2) @ parts.yaw(random.uniform(0, 2 * np.pi))
    size = random.uniform(*kind.sizes)
    hull = np.concatenate([part.hull(_FINE) for part in built], axis=1)
    pivot = (hull.min(axis=1) + hull.max(axis=1)) / 2
    away = size * (turn @ (hull - pivot[:, None]))
    return Thing(
        parts=built,
        size=size,
        position=np.array([0.0, -away[1].min(), 0.0]),
        turn=turn,
        pivot=pivot,
        radius=float(np.hypot(away[0], away[2]).max()),
        kind=kind,
    )


def moved_to(thing, x, z):
    """The thing at another place on the floor."""
    return dataclasses.replace(thing, position=np.array([x, thing.position[1], z]))


def place_among(random, thing, others, room, draw_place):
    """The thing at a free place, or None when none was found.

    Args:
      random: generator.
      thing: `Thing`.
      others: list of `Thing` that stand already.
      room: `Room`.
      draw_place: callable without arguments, -> (x, z).
    """
    for _ in range(_TRIES):
        x, z = draw_place()
        if is_free(x, z, thing.radius, others, room):
            return moved_to(thing, x, z)
    return None


def is_free(x, z, radius, others, room):
    """Whether a thing of this radius fits there."""
    margin = radius + _GAP
    # Cupboards reach into the room.
    if abs(x) > room.half_width - margin or not margin < z < room.depth - 0.4 - margin:
        return False
    return all(
        np.hypot(x - other.position[0], z - other.position[2])
        > radius + other.radius + _GAP
        for other in others
        if other.kind is not None
    )


def draw_kinds(random, classes, count):
    """`count` classes of the world's first `classes`, with repetition."""
    return [objects.CLASSES[i] for i in random.integers(classes, size=count)]
