"""The classes of objects in the synthetic world: each builds objects of textured parts.

The parts, their arrangement and their textures identify a class. Colors, proportions,
patterns and poses are drawn for each object, from ranges that classes share. Objects
stand on y = 0, look along +z and are about one unit high.
"""

from __future__ import annotations

import dataclasses
from typing import Callable

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import solids
from data_prep.synthetic.parts import Part, box, place, rod
from data_prep.synthetic.rotations import pitch, yaw
from data_prep.synthetic.textures import Texture, draw_texture


def _wood(random: Generator) -> Texture:
    """Wood, bare or painted."""
    family = "wood" if random.random() < 0.65 else "any"
    return draw_texture(random, family, "planks", "dark", grain=0.15, streaks=8)


def _ball(random: Generator) -> list[Part]:
    pattern = random.choice(["stripes", "dots", "checks", "blotches"])
    first, second = ("vivid", "pale") if random.random() < 0.6 else ("any", "any")
    skin = draw_texture(random, first, pattern, second)
    return [place(solids.Ball(), skin, 0.5, (0, 0.5, 0), gloss=random.uniform(0, 0.5))]


def _stool(random: Generator) -> list[Part]:
    wood, seat = _wood(random), _wood(random)
    if random.random() < 0.4:
        seat = draw_texture(
            random, "any", random.choice(["stripes", "checks", "blotches"])
        )
    radius, thick = random.uniform(0.3, 0.45), random.uniform(0.06, 0.14)
    if random.random() < 0.5:
        parts = [rod(seat, (0, 1 - thick, 0), (0, 1, 0), radius)]
    else:
        parts = [box(seat, (-radius, 1 - thick, -radius), (radius, 1, radius))]
    legs, splay = int(random.integers(3, 5)), random.uniform(1.0, 1.35)
    inner, leg = radius * 0.72, random.uniform(0.035, 0.06)
    for angle in np.arange(legs) * 2 * np.pi / legs + np.pi / 4:
        x, z = inner * np.sin(angle), inner * np.cos(angle)
        parts.append(rod(wood, (x * splay, 0, z * splay), (x, 1 - thick, z), leg))
    if random.random() < 0.5:
        ring = random.uniform(0.25, 0.4)
        parts += [rod(wood, (-inner, ring, 0), (inner, ring, 0), leg * 0.7)]
        parts += [rod(wood, (0, ring, -inner), (0, ring, inner), leg * 0.7)]
    return parts


def _car(random: Generator) -> list[Part]:
    pattern = random.choice(["plain", "plain", "bands", "dots"])
    paint = draw_texture(random, "any", pattern, "pale", grain=0.05)
    glass = draw_texture(random, "dark", "stripes", "metal", grain=0.05)
    tyre = draw_texture(random, "dark", "blotches", "dark")
    hub = draw_texture(random, "metal", "checks", "dark")
    length, width = random.uniform(0.8, 1.0), random.uniform(0.33, 0.42)
    wheel, waist = random.uniform(0.15, 0.2), random.uniform(0.4, 0.5)
    shine = random.uniform(0.2, 0.7)
    parts = [box(paint, (-width, wheel, -length), (width, waist, length), gloss=shine)]
    front, back = random.uniform(0.1, 0.6), random.uniform(0.5, 0.95)
    cabin = solids.prism(
        [(-back, -1.0), (front, -1.0), (front - 0.3, 1.0), (-back + 0.15, 1.0)]
    )
    roof = random.uniform(0.72, 0.95)
    middle, half = (waist + roof) / 2, (roof - waist) / 2
    # The outline is drawn in x and y and laid along z.
    side = yaw(-np.pi / 2)
    scale = (length, half, width * 0.9)
    parts.append(place(cabin, glass, scale, (0, middle, 0), side, shine))
    parts.append(
        place(cabin, paint, (length * 0.9, 0.03, width), (0, roof, 0), side, shine)
    )
    for x in (-width, width):
        for z in (-0.6 * length, 0.6 * length):
            outer = x * 1.08
            parts.append(rod(tyre, (x * 0.8, wheel, z), (outer, wheel, z), wheel))
            parts.append(
                rod(hub, (x, wheel, z), (outer * 1.02, wheel, z), wheel * 0.55)
            )
    return parts


def _bottle(random: Generator) -> list[Part]:
    glass = draw_texture(
        random, "glass", random.choice(["plain", "bands"]), "glass", 0.06
    )
    if random.random() < 0.25:
        glass = draw_texture(random, "any", "plain", "any", 0.06)
    label = draw_texture(random, "pale", random.choice(["stripes", "dots", "checks"]))
    top = draw_texture(random, "any")
    radius, neck = random.uniform(0.17, 0.25), random.uniform(0.06, 0.09)
    shoulder, throat = random.uniform(0.45, 0.6), random.uniform(0.66, 0.78)
    shine = random.uniform(0.5, 1)
    low, high = random.uniform(0.08, 0.15), shoulder - random.uniform(0.04, 0.12)
    return [
        rod(glass, (0, 0, 0), (0, shoulder, 0), radius, gloss=shine),
        rod(glass, (0, shoulder, 0), (0, throat, 0), radius, neck, gloss=shine),
        rod(glass, (0, throat, 0), (0, 0.95, 0), neck, gloss=shine),
        rod(top, (0, 0.92, 0), (0, 1, 0), neck * 1.25),
        rod(label, (0, low, 0), (0, high, 0), radius * 1.02),
    ]


def _animal(random: Generator) -> list[Part]:
    pattern = random.choice(["blotches", "stripes", "dots", "plain"])
    fur = draw_texture(random, "fur", pattern, "fur", grain=0.18)
    dark = draw_texture(random, "dark")
    body, leg = random.uniform(0.18, 0.26), random.uniform(0.25, 0.42)
    length, thin = random.uniform(0.36, 0.5), random.uniform(0.045, 0.07)
    high = leg + body * 0.8
    parts = [place(solids.Ball(), fur, (body, body, length), (0, high, 0))]
    for x in (-body * 0.6, body * 0.6):
        for z in (-0.65 * length, 0.65 * length):
            parts.append(rod(fur, (x, 0, z), (x, high, z), thin))
    head, reach = random.uniform(0.14, 0.2), length * random.uniform(0.9, 1.15)
    y = high + random.uniform(0.18, 0.34)
    parts.append(rod(fur, (0, high, length * 0.7), (0, y, reach), body * 0.5))
    parts.append(place(solids.Ball(), fur, head, (0, y, reach)))
    nose = (head * 0.55, head * 0.5, head * 0.8)
    parts.append(place(solids.Ball(), fur, nose, (0, y - head * 0.25, reach + head)))
    tip = (0, y - head * 0.15, reach + head * 1.75)
    parts.append(place(solids.Ball(), dark, head * 0.22, tip))
    ear = random.uniform(0.12, 0.28)
    for x in (-head * 0.6, head * 0.6):
        root = (x, y + head * 0.6, reach)
        parts.append(
            rod(fur, root, (x * 1.4, y + head * 0.6 + ear, reach), head * 0.3, 0.02)
        )
        eye = (x, y + head * 0.3, reach + head * 0.75)
        parts.append(place(solids.Ball(), dark, head * 0.17, eye, gloss=1))
    end = (0, high + random.uniform(-0.1, 0.35), -length * 1.5)
    return parts + [rod(fur, (0, high, -length * 0.9), end, thin * 0.8, thin * 0.4)]


def _lamp(random: Generator) -> list[Part]:
    metal = draw_texture(random, random.choice(["metal", "wood", "any"]), "plain")
    pattern = random.choice(["plain", "stripes", "checks", "bands"])
    shade = draw_texture(random, random.choice(["pale", "pale", "any"]), pattern, "any")
    base, pole = random.uniform(0.16, 0.3), random.uniform(0.025, 0.05)
    lower, upper = random.uniform(0.25, 0.38), random.uniform(0.1, 0.24)
    start = random.uniform(0.55, 0.68)
    foot = random.uniform(0.04, 0.1)
    parts = [
        rod(metal, (0, 0, 0), (0, foot, 0), base, base * 0.7, gloss=0.5),
        rod(metal, (0, foot, 0), (0, start + 0.1, 0), pole, gloss=0.5),
        rod(shade, (0, start, 0), (0, 1, 0), lower, upper),
    ]
    if random.random() < 0.5:
        knob = random.uniform(0.07, 0.13)
        parts.append(place(solids.Ball(), metal, knob, (0, foot + knob, 0), gloss=0.5))
    return parts


def _mushroom(random: Generator) -> list[Part]:
    pale = draw_texture(random, "pale", "stripes", "pale", grain=0.12)
    pattern = random.choice(["dots", "dots", "plain", "blotches"])
    cap = draw_texture(random, "cap", pattern, "pale")
    radius, stalk = random.uniform(0.32, 0.5), random.uniform(0.08, 0.16)
    height = random.uniform(0.3, 0.55)
    start = 1 - height
    dome = place(
        solids.Ball(low=0.0), cap, (radius, height, radius), (0, start, 0), gloss=0.2
    )
    gills = rod(pale, (0, start - 0.02, 0), (0, start, 0), radius * 0.93)
    foot = rod(pale, (0, 0, 0), (0, start, 0), stalk * random.uniform(1, 1.5), stalk)
    parts = [dome, gills, foot]
    if random.random() < 0.5:
        skirt = (0, start * random.uniform(0.6, 0.85), 0)
        below = (0, skirt[1] - 0.07, 0)
        parts.append(rod(pale, below, skirt, stalk * 1.7, stalk))
    return parts


def _crate(random: Generator) -> list[Part]:
    wood, frame = _wood(random), _wood(random)
    if random.random() < 0.3:
        wood = draw_texture(random, "any", random.choice(["stripes", "dots", "checks"]))
    w, d, bar = *random.uniform(0.4, 0.62, size=2), random.uniform(0.05, 0.1)
    out = 0.02
    parts = [box(wood, (-w, 0.01, -d), (w, 0.99, d))]
    for x in (-w, w):
        for z in (-d, d):
            inner = x - np.sign(x) * bar, z - np.sign(z) * bar
            outer = x + np.sign(x) * out, z + np.sign(z) * out
            low, high = np.minimum(inner, outer), np.maximum(inner, outer)
            parts.append(box(frame, (low[0], 0, low[1]), (high[0], 1, high[1])))
    for y in (0.0, 1 - bar):
        parts.append(box(frame, (-w, y, -d - out), (w, y + bar, d + out)))
        parts.append(box(frame, (-w - out, y, -d), (w + out, y + bar, d)))
    return parts


def _plant(random: Generator) -> list[Part]:
    pattern = random.choice(["plain", "bands", "dots"])
    clay = draw_texture(random, "clay", pattern)
    leaf = draw_texture(random, "leaf", "stripes", "leaf", grain=0.2)
    soil = draw_texture(random, "dark", grain=0.3)
    height, radius = random.uniform(0.28, 0.42), random.uniform(0.17, 0.28)
    parts = [
        rod(clay, (0, 0, 0), (0, height, 0), radius * 0.7, radius),
        rod(clay, (0, height * 0.85, 0), (0, height, 0), radius * 1.12),
        rod(soil, (0, height, 0), (0, height + 0.01, 0), radius * 0.95),
    ]
    leaves = int(random.integers(7, 12))
    broad, long = random.uniform(0.07, 0.14), random.uniform(0.2, 0.32)
    for index in range(leaves):
        angle = index * 2.4 + random.uniform(-0.3, 0.3)
        lean = random.uniform(0.15, 1.1)
        reach = long * random.uniform(0.8, 1.15)
        rotation = yaw(angle) @ pitch(lean)
        middle = rotation @ np.array([0, reach, 0], np.float32)
        middle += np.array([0, height, 0], np.float32)
        scale = (broad, reach, 0.025)
        parts.append(place(solids.Ball(), leaf, scale, middle, rotation, 0.15))
    return parts


def _house(random: Generator) -> list[Part]:
    pattern = random.choice(["bricks", "planks", "plain"])
    walls = draw_texture(
        random, random.choice(["plaster", "brick", "any"]), pattern, "pale"
    )
    roof = draw_texture(
        random, random.choice(["brick", "dark", "any"]), "bricks", "dark"
    )
    trim = draw_texture(random, "any")
    pane = draw_texture(random, "dark", "tiles", "pale", grain=0.05)
    w, d = random.uniform(0.32, 0.45), random.uniform(0.32, 0.5)
    eaves = random.uniform(0.5, 0.65)
    half = (1 - eaves) / 2
    gable = solids.prism([(-1.0, -1.0), (1.0, -1.0), (0.0, 1.0)])
    parts = [
        box(walls, (-w, 0, -d), (w, eaves, d)),
        place(gable, roof, (w * 1.2, half, d * 1.12), (0, eaves + half, 0)),
        box(trim, (-0.1, 0, d - 0.02), (0.1, eaves * 0.62, d + 0.02)),
    ]
    for x in (-w * 0.65, w * 0.65):
        low, high = (x - 0.07, eaves * 0.45, -d - 0.015), (x + 0.07, eaves * 0.8, d)
        parts.append(box(pane, low, (*high[:2], d + 0.015)))
    if random.random() < 0.6:
        x, z = w * 0.5, random.uniform(-d, d) * 0.5
        parts.append(
            box(walls, (x - 0.06, eaves, z - 0.06), (x + 0.06, 0.97, z + 0.06))
        )
    return parts


def _cone(random: Generator) -> list[Part]:
    skin = draw_texture(random, "signal", "bands", random.choice(["pale", "any"]))
    base = draw_texture(random, random.choice(["dark", "signal", "any"]))
    foot, thick = random.uniform(0.3, 0.4), random.uniform(0.05, 0.1)
    radius, tip = foot * random.uniform(0.7, 0.85), random.uniform(0.03, 0.07)
    return [
        box(base, (-foot, 0, -foot), (foot, thick, foot)),
        rod(skin, (0, thick, 0), (0, 1, 0), radius, tip, gloss=0.2),
    ]


def _star(random: Generator) -> list[Part]:
    pattern = random.choice(["plain", "dots", "stripes", "blotches"])
    skin = draw_texture(random, random.choice(["signal", "any"]), pattern)
    spikes = int(random.integers(5, 7))
    inner, thick = random.uniform(0.4, 0.55), random.uniform(0.12, 0.3)
    angles = np.arange(2 * spikes) * np.pi / spikes + np.pi / 2
    radii = np.where(np.arange(2 * spikes) % 2, inner, 1.0)
    x, y = radii * np.cos(angles), radii * np.sin(angles)
    points = [(float(a), float(b)) for a, b in zip(x, y)]
    low = min(point[1] for point in points)
    scale = (0.5, 0.5, thick / 2)
    centre = (0, -low / 2, 0)
    shine = random.uniform(0, 0.6)
    outlines = [points[1::2]]
    outlines += [
        [points[i - 1], points[i], points[i + 1]] for i in range(0, 2 * spikes, 2)
    ]
    return [
        place(solids.prism(outline), skin, scale, centre, gloss=shine)
        for outline in outlines
    ]


@dataclasses.dataclass(frozen=True)
class ObjectClass:
    """A class of objects.

    Attributes:
      name: name in the annotations.
      build: draws the parts of a new object.
      sizes: range of heights in metres.
      moves: whether its objects may move in videos.
      lies: probability that an object lies on its side.
      rolls: whether a moving object rolls.
    """

    name: str
    build: Callable[[Generator], list[Part]]
    sizes: tuple[float, float]
    moves: bool = False
    lies: float = 0.0
    rolls: bool = False

    @property
    def folder(self) -> str:
        """The name of its class folder, in the form of a WordNet synset."""
        return f"n9{CLASSES.index(self):07d}"


# A world of n classes has the first n of them.
CLASSES = (
    ObjectClass("ball", _ball, (0.35, 0.8), moves=True, rolls=True),
    ObjectClass("stool", _stool, (0.5, 0.95), lies=0.1),
    ObjectClass("car", _car, (0.35, 0.6), moves=True),
    ObjectClass("bottle", _bottle, (0.5, 1.0), lies=0.2),
    ObjectClass("animal", _animal, (0.5, 0.9), moves=True),
    ObjectClass("mushroom", _mushroom, (0.4, 0.9), lies=0.1),
    ObjectClass("lamp", _lamp, (0.6, 1.1), lies=0.05),
    ObjectClass("crate", _crate, (0.35, 0.75)),
    ObjectClass("plant", _plant, (0.6, 1.0)),
    ObjectClass("house", _house, (0.5, 0.9)),
    ObjectClass("cone", _cone, (0.45, 0.9), lies=0.15),
    ObjectClass("star", _star, (0.45, 0.9), moves=True),
)
