"""Draws furnished rooms and their lamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import colors, parts, rotations, textures
from data_prep.synthetic.arrays import Float32
from data_prep.synthetic.parts import Part
from data_prep.synthetic.scene import Light, Room, SceneObject
from data_prep.synthetic.textures import Texture

_TEXTURE_SIZE = 256
_WHITE: Float32 = np.ones(3, np.float32)
# (pattern, family of the first color, family of the second, metres per tile).
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


def draw_room(random: Generator) -> tuple[Room, SceneObject]:
    """Draws a room and its furniture."""
    floor, floor_tile = _surface(random, _FLOORS)
    walls, wall_tile = _surface(random, _WALLS)
    ceiling = textures.paint(
        random, "plain", colors.draw(random, "pale"), _WHITE, 0.04, 64
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
    return room, _furniture(random, room)


def _surface(
    random: Generator, choices: Sequence[tuple[str, str, str, float]]
) -> tuple[Texture, float]:
    """(texture, metres per tile) of a floor or wall."""
    pattern, first, second, tile = choices[random.integers(len(choices))]
    streaks = 8 if pattern == "planks" else 1
    ground = colors.draw(random, first)
    other = colors.draw(random, second)
    if first == second:
        # Two shades of one color rather than two colors.
        other = np.clip(ground * random.uniform(0.6, 1.25), 0.05, 0.98)
    texture = textures.paint(
        random, pattern, ground, other, 0.09, _TEXTURE_SIZE, streaks
    )
    return texture, tile * random.uniform(0.8, 1.3)


def draw_lights(random: Generator, room: Room) -> tuple[tuple[Light, ...], Float32]:
    """Draws a lamp near the ceiling, a fainter, cooler lamp, and the ambient light.

    Returns:
      (lamps, RGB float32 [3] of the ambient light).
    """
    warm = np.array([1, random.uniform(0.85, 1), random.uniform(0.65, 1)], np.float32)
    cool = np.array([random.uniform(0.75, 1), random.uniform(0.85, 1), 1], np.float32)
    strength = random.uniform(1.0, 1.6)
    main = Light(
        position=np.array(
            [
                random.uniform(-0.8, 0.8) * room.half_width,
                room.height - 0.3,
                random.uniform(0.2, 3.0),
            ]
        ),
        color=1.5 * strength * warm,
        reach=random.uniform(2.0, 3.5),
    )
    second = Light(
        position=np.array(
            [
                random.choice([-0.9, 0.9]) * room.half_width,
                random.uniform(1.0, 2.0),
                random.uniform(-1, room.depth - 0.5),
            ]
        ),
        color=random.uniform(0.2, 0.7) * cool,
        reach=1.5,
    )
    return (main, second), random.uniform(0.4, 0.65) * (warm + cool) / 2


def _furniture(random: Generator, room: Room) -> SceneObject:
    """The skirting boards, pictures, and perhaps a rug and a cupboard."""
    built = _skirting_boards(random, room)
    for _ in range(int(random.integers(1, 5))):
        built.append(_wall_picture(random, room))
    if random.random() < 0.6:
        built.append(_rug(random, room))
    if random.random() < 0.6:
        built += _cupboard(random, room)
    origin = np.zeros(3)
    return SceneObject(tuple(built), 1.0, origin, np.eye(3), origin)


def _skirting_boards(random: Generator, room: Room) -> list[Part]:
    texture = textures.paint(
        random,
        "plain",
        colors.draw(random, random.choice(["pale", "wood", "dark"])),
        _WHITE,
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


def _wall_picture(random: Generator, room: Room) -> Part:
    """A picture, window or door on a wall."""
    texture = textures.picture(random)
    w, h = random.uniform(0.25, 0.7), random.uniform(0.25, 0.6)
    y = random.uniform(1.1, max(1.2, room.height - h - 0.3))
    if random.random() < 0.25:
        w, h, y = 0.42, 1.0, 1.0
        texture = textures.draw_texture(
            random,
            pattern=random.choice(["tiles", "planks"]),
            first=random.choice(["wood", "pale", "any"]),
            second="dark",
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


def _rug(random: Generator, room: Room) -> Part:
    pattern = random.choice(["stripes", "checks", "dots", "blotches", "tiles"])
    texture = textures.draw_texture(random, "carpet", pattern, "carpet", 0.15)
    half_x, half_z = random.uniform(0.5, 1.3), random.uniform(0.5, 1.0)
    x = random.uniform(-0.5, 0.5) * room.half_width
    z = random.uniform(1.5, room.depth - 1)
    rotation = rotations.yaw(random.uniform(-0.4, 0.4))
    low, high = (x - half_x, 0, z - half_z), (x + half_x, 0.012, z + half_z)
    return parts.box(texture, low, high, rotation)


def _cupboard(random: Generator, room: Room) -> list[Part]:
    """A cupboard at the back wall, with drawers."""
    families = ["wood", "pale", "any"]
    body = textures.draw_texture(
        random, random.choice(families), "planks", "dark", 0.12, streaks=8
    )
    w, h, d = random.uniform((0.4, 0.5, 0.2), (1.0, 1.7, 0.3))
    x = random.uniform(-1, 1) * (room.half_width - w)
    back = room.depth
    pieces = [parts.box(body, (x - w, 0, back - d), (x + w, h, back))]
    pattern = random.choice(["tiles", "stripes", "plain"])
    front = textures.draw_texture(random, random.choice(families), pattern, "dark")
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
