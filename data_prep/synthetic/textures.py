"""Procedural textures: patterns of two or three colors under many octaves of noise.

A pattern is float32 [size, size] in [0, 1] and tiles in both directions; its first axis
is v (downwards), its second u.
"""

from __future__ import annotations

import functools
from typing import Callable

import cv2
import numpy as np
from numpy.random import Generator

from data_prep.synthetic import colors
from data_prep.synthetic.arrays import Float32, Floats

Pattern = Callable[[Generator, int], Float32]

SIZE = 128
_LEVELS = 6
_FIELDS = 24


class Texture:
    """A tiling RGB image with a mipmap.

    Attributes:
      size: texels along a side.
    """

    def __init__(self, pixels: Float32) -> None:
        """
        Args:
          pixels: float32 [size, size, 3], RGB in [0, 1].
        """
        self.size = pixels.shape[0]
        # Smaller levels follow when they are first needed.
        self._levels = [np.ascontiguousarray(pixels, np.float32)]

    def sample(self, uv: Floats, texels: float) -> Float32:
        """Looks up colors with bilinear interpolation.

        Args:
          uv: [2, N]; the texture covers [0, 1] x [0, 1] and repeats outside.
          texels: side of an image pixel in texels, which selects the mipmap level.

        Returns:
          float32 [N, 3].
        """
        level = int(np.clip(mipmap_level(texels), 0, _LEVELS - 1))
        while len(self._levels) <= level:
            side = max(1, self._levels[-1].shape[0] // 2)
            self._levels.append(_resized(self._levels[-1], side, cv2.INTER_AREA))
        return _bilinear(self._levels[level], uv)


def _resized(pixels: Float32, side: int, interpolation: int) -> Float32:
    """Resizes an image to a square."""
    resized = cv2.resize(pixels, (side, side), interpolation=interpolation)
    return np.asarray(resized, np.float32)


def mipmap_level(texels: float | Floats) -> Floats:
    """The level whose texels are about as large as a pixel, rather larger.

    Args:
      texels: side of a pixel in texels of level 0, a number or an array.
    """
    return np.floor(np.log2(np.maximum(texels, 1)) + 0.7)


def _bilinear(pixels: Float32, uv: Floats) -> Float32:
    """Samples a tiling image [size, size, 3] at uv [2, N]: [N, 3]."""
    count = uv.shape[1]
    # OpenCV limits the width of the image that it samples into.
    width = 256
    rows = -(-count // width)
    coordinates = np.zeros((2, rows * width), np.float32)
    coordinates[:, :count] = (uv - np.floor(uv)) * np.float32(pixels.shape[0]) - 0.5
    maps = coordinates.reshape(2, rows, width)
    sampled = cv2.remap(
        pixels, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return np.asarray(sampled, np.float32).reshape(-1, 3)[:count]


def noise(
    random: Generator, size: int = SIZE, coarsest: int = 4, persistence: float = 0.55
) -> Float32:
    """Draws tiling noise with about the spectrum of natural images.

    A new field is expensive. So a few fields are made once, and each draw shifts,
    transposes and mirrors one of them, at a hundredth of the cost.

    Args:
      random: generator.
      size: side of the field.
      coarsest: cells along a side in the coarsest octave.
      persistence: amplitude of each octave relative to the next coarser one.

    Returns:
      float32 [size, size], of standard deviation 1.
    """
    fields = _noise_fields(size, coarsest, persistence)
    field = fields[random.integers(len(fields))]
    mirrored, upside_down, transposed = random.integers(2, size=3)
    field = field[:: 1 - 2 * upside_down, :: 1 - 2 * mirrored]
    shift = random.integers(size, size=2)
    return np.roll(field.T if transposed else field, shift, axis=(0, 1))


@functools.cache
def _noise_fields(size: int, coarsest: int, persistence: float) -> list[Float32]:
    random = np.random.default_rng([size, coarsest])
    return [_noise_field(random, size, coarsest, persistence) for _ in range(_FIELDS)]


def _noise_field(
    random: Generator, size: int, coarsest: int, persistence: float
) -> Float32:
    total = np.zeros((size, size), np.float32)
    cells, weight = coarsest, 1.0
    # The finest octave is two texels wide: noise of single texels would flicker.
    while cells <= size // 2:
        grid = random.standard_normal((cells, cells), np.float32)
        total += weight * _enlarge(grid, size)
        cells, weight = cells * 2, weight * persistence
    return total / total.std()


def _enlarge(grid: Float32, size: int) -> Float32:
    """Enlarges a tiling square to [size, size] by cubic interpolation."""
    cells = len(grid)
    margin = 2
    padded = np.pad(grid, margin, mode="wrap")
    side = (cells + 2 * margin) * size // cells
    large = _resized(padded, side, cv2.INTER_CUBIC)
    start = margin * size // cells
    return large[start : start + size, start : start + size]


def _coordinates(size: int) -> tuple[Float32, Float32]:
    """(u [1, size], v [size, 1]) of the texels' centres, in [0, 1]."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def plain(random: Generator, size: int = SIZE) -> Float32:
    """No pattern: zeros."""
    del random
    return np.zeros((size, size), np.float32)


def stripes(random: Generator, size: int = SIZE, slanted: bool = True) -> Float32:
    """Straight stripes, in one of the directions that tile."""
    u, v = _coordinates(size)
    a = int(random.integers(2, 8))
    b = int(random.integers(-3, 4)) if slanted else 0
    phase, share = random.uniform(0, 1), random.uniform(0.3, 0.6)
    return _smooth_step((a * u + b * v + phase) % 1.0, share, (a + abs(b)) / size)


def bands(random: Generator, size: int = SIZE) -> Float32:
    """Stripes that are constant along u: around a round part."""
    return np.ascontiguousarray(stripes(random, size, slanted=False).T)


def _smooth_step(phase: Float32, share: float, width: float) -> Float32:
    """1 where phase < share, else 0, with edges of the given width in phase."""
    width = max(width, 1e-3)
    rising = np.clip((share - phase) / width + 0.5, 0, 1)
    falling = np.clip((phase - (1 - width / 2)) / width + 0.5, 0, 1)
    return np.maximum(rising, falling).astype(np.float32)


def checks(random: Generator, size: int = SIZE) -> Float32:
    """A chessboard."""
    u, v = _coordinates(size)
    a, b = 2 * random.integers(2, 5, size=2)
    return ((np.floor(a * u) + np.floor(b * v)) % 2).astype(np.float32)


def dots(random: Generator, size: int = SIZE) -> Float32:
    """Round dots on a jittered grid."""
    u, v = _coordinates(size)
    cells = int(random.integers(3, 7))
    x, y = (cells * u) % 1.0, (cells * v) % 1.0
    column, row = np.floor(cells * u).astype(int), np.floor(cells * v).astype(int)
    radius = random.uniform(0.2, 0.38, (cells, cells)).astype(np.float32)[row, column]
    jitter = random.uniform(-0.12, 0.12, (2, cells, cells)).astype(np.float32)
    distance = np.hypot(
        x - 0.5 - jitter[0][row, column], y - 0.5 - jitter[1][row, column]
    )
    return np.clip((radius - distance) * size / cells + 0.5, 0, 1).astype(np.float32)


def bricks(random: Generator, size: int = SIZE) -> Float32:
    """Bricks; the mortar is 1."""
    rows = 2 * int(random.integers(3, 7))
    return _masonry(size, rows, rows // 2, 0.5, random.uniform(0.05, 0.1))


def tiles(random: Generator, size: int = SIZE) -> Float32:
    """Square tiles; the joints are 1."""
    count = int(random.integers(2, 6))
    return _masonry(size, count, count, 0.0, random.uniform(0.03, 0.07))


def _masonry(
    size: int, rows: int, columns: int, offset: float, joint: float
) -> Float32:
    """Rectangles in rows, every other row shifted by `offset` of a rectangle."""
    u, v = _coordinates(size)
    row = np.floor(rows * v)
    x = (columns * u + offset * (row % 2)) % 1.0
    y = (rows * v + 0 * u) % 1.0
    horizontal = joint * columns / rows
    return np.maximum(x < horizontal, y < joint).astype(np.float32)


def planks(random: Generator, size: int = SIZE) -> Float32:
    """Boards along u with dark joints."""
    count = int(random.integers(3, 8))
    _, v = _coordinates(size)
    joint = 0.8 * ((count * v) % 1.0 < 0.04).astype(np.float32)
    shade = random.uniform(0, 0.25, count).astype(np.float32)
    board = shade[np.minimum((count * v).astype(int), count - 1)]
    return np.broadcast_to(np.maximum(joint, board), (size, size)).copy()


def blotches(random: Generator, size: int = SIZE) -> Float32:
    """Large patches with irregular edges, like fur or lichen."""
    field = noise(random, size, coarsest=int(random.integers(2, 5)), persistence=0.5)
    return np.clip(field * 4 + random.uniform(-2, 2), 0, 1)


PATTERNS: dict[str, Pattern] = {
    "plain": plain,
    "stripes": stripes,
    "bands": bands,
    "checks": checks,
    "dots": dots,
    "bricks": bricks,
    "tiles": tiles,
    "planks": planks,
    "blotches": blotches,
}


def paint(
    random: Generator,
    pattern: str,
    first: Float32,
    second: Float32,
    grain: float = 0.1,
    size: int = SIZE,
    streaks: int = 1,
) -> Texture:
    """Draws a texture of two colors.

    Args:
      random: generator.
      pattern: name in `PATTERNS`.
      first, second: float32 [3], RGB where the pattern is 0 and 1.
      grain: strength of the noise in lightness; hue gets a sixth of it.
      size: texels along a side.
      streaks: length of the grain along u relative to v, as in wood.
    """
    mix = PATTERNS[pattern](random, size)
    light = noise(random, size)
    if streaks > 1:
        light = _stretched(light, streaks)
    light = 1 + np.float32(grain) * light
    slow = _enlarge(random.standard_normal((4, 4), np.float32), size)
    # Plane by plane: NumPy is slow at operations on an innermost axis of three.
    planes = [
        (np.float32(start) + np.float32(end - start) * mix) * light
        + np.float32(tint) * slow
        for start, end, tint in zip(first, second, random.normal(0, grain / 6, 3))
    ]
    return Texture(np.clip(cv2.merge(planes), 0.02, 1))


def draw_texture(
    random: Generator,
    first: str,
    pattern: str = "plain",
    second: str = "any",
    grain: float = 0.1,
    streaks: int = 1,
) -> Texture:
    """Draws two colors of the families `first` and `second`, and a texture of them.

    The other arguments are those of `paint`.
    """
    pair = colors.draw(random, first), colors.draw(random, second)
    return paint(random, pattern, *pair, grain, streaks=streaks)


def _stretched(field: Float32, factor: int) -> Float32:
    """Stretches the field along u; the result still tiles."""
    size = len(field)
    strip = field[:, : size // (2 * factor)]
    doubled = np.concatenate([strip, strip[:, ::-1]], axis=1)
    return _resized(doubled, size, cv2.INTER_CUBIC)


def picture(random: Generator, size: int = SIZE) -> Texture:
    """Draws a picture for a wall: a landscape of soft shapes in related colors."""
    _, v = _coordinates(size)
    planes = [np.full((size, size), value) for value in colors.draw(random, "muted")]
    for _ in range(int(random.integers(2, 5))):
        edge = random.uniform(0.2, 0.9) + 0.12 * noise(random, size, 2, 0.4)
        mask = np.clip((v - edge.astype(np.float32)) * (size / 4) + 0.5, 0, 1)
        color = colors.draw(random, "muted")
        planes = [plane + mask * (value - plane) for plane, value in zip(planes, color)]
    light = 1 + np.float32(0.1) * noise(random, size)
    pixels = cv2.merge([plane * light for plane in planes])
    return Texture(np.clip(pixels, 0.02, 1))
