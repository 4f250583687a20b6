"""Procedural textures: patterns of two or three colors under many octaves of noise.

Patterns are float32 [size, size] in [0, 1] and tile in both directions.
"""

import functools

import cv2
import numpy as np

from data_prep.synthetic import colors

SIZE = 128
_LEVELS = 6
_FIELDS = 24


class Texture:
    """A tiling picture that is sampled with a footprint, as textures on a GPU are."""

    def __init__(self, pixels):
        """
        Args:
          pixels: float32 [size, size, 3], RGB in [0, 1].
        """
        self._levels = [np.ascontiguousarray(pixels, np.float32)]
        self.size = pixels.shape[0]

    def sample(self, uv, texels):
        """Looks colors up.

        Args:
          uv: float32 [2, N]; the texture covers [0, 1] x [0, 1] and repeats.
          texels: how many texels a pixel covers along a side: float.

        Returns:
          float32 [N, 3].
        """
        level = int(np.clip(mip_level(texels), 0, _LEVELS - 1))
        while len(self._levels) <= level:
            height, width = self._levels[-1].shape[:2]
            half = (max(1, width // 2), max(1, height // 2))
            self._levels.append(
                cv2.resize(self._levels[-1], half, interpolation=cv2.INTER_AREA)
            )
        return _bilinear(self._levels[level], uv)


def mip_level(texels):
    """The level whose texels are about as large as a pixel, rather larger."""
    return np.floor(np.log2(np.maximum(texels, 1)) + 0.7)


def _bilinear(pixels, uv):
    """Samples a tiling image; OpenCV wants its coordinates as an image of its own."""
    count = uv.shape[1]
    width = 256
    rows = -(-count // width)
    coordinates = np.zeros((2, rows * width), np.float32)
    size = np.float32([[pixels.shape[1]], [pixels.shape[0]]])
    coordinates[:, :count] = (uv - np.floor(uv)) * size - 0.5
    maps = coordinates.reshape(2, rows, width)
    sampled = cv2.remap(
        pixels, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return sampled.reshape(-1, 3)[:count]


def noise(random, size=SIZE, coarsest=4, persistence=0.55):
    """Noise with about the spectrum of natural images: float32 [size, size], std 1.

    A few fields are made once; a draw takes one of them shifted, turned and mirrored,
    at a hundredth of the cost of a new one.
    """
    fields = _noise_fields(size, coarsest, persistence)
    field = fields[random.integers(len(fields))]
    mirrored, upside_down, turned = random.integers(2, size=3)
    field = field[:: 1 - 2 * upside_down, :: 1 - 2 * mirrored]
    shift = random.integers(size, size=2)
    return np.roll(field.T if turned else field, shift, axis=(0, 1))


@functools.cache
def _noise_fields(size, coarsest, persistence):
    random = np.random.default_rng([size, coarsest])
    return [_new_noise(random, size, coarsest, persistence) for _ in range(_FIELDS)]


def _new_noise(random, size, coarsest, persistence):
    total = np.zeros((size, size), np.float32)
    cells, weight = coarsest, 1.0
    # The finest octave is two texels wide: single texels would glitter.
    while cells <= size // 2:
        grid = random.standard_normal((cells, cells), np.float32)
        total += weight * _enlarge(grid, size)
        cells, weight = cells * 2, weight * persistence
    return total / total.std()


def _enlarge(grid, size):
    """Cubic enlargement that tiles."""
    cells = len(grid)
    if cells == size:
        return grid
    margin = 2
    padded = np.pad(grid, margin, mode="wrap")
    side = (cells + 2 * margin) * size // cells
    large = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
    start = margin * size // cells
    return large[start : start + size, start : start + size]


def _coordinates(size):
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def plain(random, size=SIZE):
    """Nothing but a soft large-scale change."""
    del random
    return np.zeros((size, size), np.float32)


def stripes(random, size=SIZE, slanted=True):
    """Straight stripes of any direction that tiles."""
    u, v = _coordinates(size)
    a = int(random.integers(2, 8))
    b = int(random.integers(-3, 4)) if slanted else 0
    phase, share = random.uniform(0, 1), random.uniform(0.3, 0.6)
    return _soft((a * u + b * v + phase) % 1.0, share, a + abs(b), size)


def bands(random, size=SIZE):
    """Stripes around: constant along u."""
    return np.ascontiguousarray(stripes(random, size, slanted=False).T)


def _soft(phase, share, cycles, size):
    """1 where phase < share, with edges one texel wide."""
    width = max(cycles / size, 1e-3)
    rising = np.clip((share - phase) / width + 0.5, 0, 1)
    falling = np.clip((phase - (1 - width / 2)) / width + 0.5, 0, 1)
    return np.maximum(rising, falling).astype(np.float32)


def checks(random, size=SIZE):
    """A chessboard."""
    u, v = _coordinates(size)
    a, b = 2 * random.integers(2, 5, size=2)
    return ((np.floor(a * u) + np.floor(b * v)) % 2).astype(np.float32)


def dots(random, size=SIZE):
    """Round dots on a jittered grid."""
    u, v = _coordinates(size)
    cells = int(random.integers(3, 7))
    x, y = (cells * u) % 1.0, (cells * v) % 1.0
    column, row = np.floor(cells * u).astype(int), np.floor(cells * v).astype(int)
    radius = random.uniform(0.2, 0.38, (cells, cells)).astype(np.float32)[row, column]
    slack = random.uniform(-0.12, 0.12, (2, cells, cells)).astype(np.float32)
    away = np.hypot(x - 0.5 - slack[0][row, column], y - 0.5 - slack[1][row, column])
    return np.clip((radius - away) * size / cells + 0.5, 0, 1).astype(np.float32)


def bricks(random, size=SIZE):
    """Bricks in mortar: the mortar is 1."""
    rows = 2 * int(random.integers(3, 7))
    return _masonry(size, rows, rows // 2, 0.5, random.uniform(0.05, 0.1))


def tiles(random, size=SIZE):
    """Square tiles: the joint is 1."""
    count = int(random.integers(2, 6))
    return _masonry(size, count, count, 0.0, random.uniform(0.03, 0.07))


def _masonry(size, rows, columns, offset, joint):
    u, v = _coordinates(size)
    row = np.floor(rows * v)
    x = (columns * u + offset * (row % 2)) % 1.0
    y = (rows * v + 0 * u) % 1.0
    horizontal = joint * columns / rows
    return np.maximum(x < horizontal, y < joint).astype(np.float32)


def planks(random, size=SIZE):
    """Boards with dark joints, lying along u."""
    count = int(random.integers(3, 8))
    _, v = _coordinates(size)
    joint = 0.8 * ((count * v) % 1.0 < 0.04).astype(np.float32)
    shade = random.uniform(0, 0.25, count).astype(np.float32)
    board = shade[np.minimum((count * v).astype(int), count - 1)]
    return np.broadcast_to(np.maximum(joint, board), (size, size)).copy()


def blotches(random, size=SIZE):
    """Large patches with irregular edges, as of fur or lichen."""
    field = noise(random, size, coarsest=int(random.integers(2, 5)), persistence=0.5)
    return np.clip(field * 4 + random.uniform(-2, 2), 0, 1)


PATTERNS = {
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


def paint(random, pattern, first, second, grain=0.1, size=SIZE, streaks=1):
    """A texture of two colors.

    Args:
      random: generator.
      pattern: name in `PATTERNS`.
      first, second: RGB where the pattern is 0 and 1.
      grain: strength of the noise in lightness; a sixth of it goes into hue.
      size: texels a side.
      streaks: how much longer the grain is along u, as in wood.

    Returns:
      `Texture`.
    """
    mix = PATTERNS[pattern](random, size)
    light = noise(random, size)
    if streaks > 1:
        light = _stretched(light, streaks)
    light = 1 + np.float32(grain) * light
    slow = _enlarge(random.standard_normal((4, 4), np.float32), size)
    # Plane by plane: loops over three channels of each pixel are slow in NumPy.
    planes = [
        (np.float32(start) + np.float32(end - start) * mix) * light
        + np.float32(tint) * slow
        for start, end, tint in zip(first, second, random.normal(0, grain / 6, 3))
    ]
    return Texture(np.clip(cv2.merge(planes), 0.02, 1))


def _stretched(field, factor):
    """The field drawn out along u; still tiles."""
    size = len(field)
    part = field[:, : size // (2 * factor)]
    doubled = np.concatenate([part, part[:, ::-1]], axis=1)
    return cv2.resize(doubled, (size, size), interpolation=cv2.INTER_CUBIC)


def picture(random, size=SIZE):
    """Something to hang on a wall: a landscape of soft shapes in related colors."""
    _, v = _coordinates(size)
    planes = [np.full((size, size), one) for one in colors.draw(random, "muted")]
    for _ in range(int(random.integers(2, 5))):
        edge = random.uniform(0.2, 0.9) + 0.12 * noise(random, size, 2, 0.4)
        mask = np.clip((v - np.float32(edge)) * (size / 4) + 0.5, 0, 1)
        color = colors.draw(random, "muted")
        planes = [plane + mask * (one - plane) for plane, one in zip(planes, color)]
    light = 1 + np.float32(0.1) * noise(random, size)
    pixels = cv2.merge([plane * light for plane in planes])
    return Texture(np.clip(pixels, 0.02, 1))
