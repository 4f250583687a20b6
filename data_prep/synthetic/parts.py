"""Parts: textured solids placed in the frame of the thing that they belong to."""

import dataclasses
from typing import Any

import numpy as np

from data_prep.synthetic import solids

_IDENTITY = np.eye(3, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class Part:
    """A solid with a texture.

    Attributes:
      solid: see `solids`.
      texture: `textures.Texture`.
      matrix: float32 [3, 3], from the solid's space to the thing's.
      offset: float32 [3], where the solid's origin lies in the thing's space.
      gloss: strength of highlights, 0 to 1.
    """

    solid: Any
    texture: Any
    matrix: np.ndarray
    offset: np.ndarray
    gloss: float = 0.0

    def hull(self, count=12):
        """Points [3, K] around the part, in the thing's space; see `solids`."""
        return self.matrix @ self.solid.hull(count) + self.offset[:, None]


def place(solid, texture, scale, at=(0, 0, 0), turn=_IDENTITY, gloss=0.0):
    """A part: the solid scaled along its axes, turned, and moved to `at`."""
    matrix = (turn @ np.diag(np.broadcast_to(scale, 3))).astype(np.float32)
    return Part(solid, texture, matrix, np.float32(at), float(gloss))


def box(texture, low, high, turn=_IDENTITY, gloss=0.0):
    """A box between two corners; turned about its middle."""
    low, high = np.float32(low), np.float32(high)
    return place(solids.Box(), texture, (high - low) / 2, (high + low) / 2, turn, gloss)


def rod(texture, start, end, bottom, top=None, gloss=0.0):
    """A round rod or cone from `start` to `end` with radii `bottom` and `top`."""
    start, end = np.float32(start), np.float32(end)
    top = bottom if top is None else top
    widest = max(bottom, top)
    solid = solids.Frustum(bottom / widest, top / widest)
    length = float(np.linalg.norm(end - start))
    turn = _upright_to((end - start) / length)
    return place(solid, texture, (widest, length, widest), start, turn, gloss)


def _upright_to(direction):
    """A rotation that takes y to the unit vector `direction`."""
    up = np.float32([0, 1, 0])
    axis = np.cross(up, direction)
    sine, cosine = np.linalg.norm(axis), float(direction[1])
    if sine < 1e-6:
        return _IDENTITY if cosine > 0 else np.diag([1, -1, -1]).astype(np.float32)
    return rotation(axis / sine, np.arctan2(sine, cosine))


def rotation(axis, angle):
    """The rotation by `angle` about the unit vector `axis`: float32 [3, 3]."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + np.sin(angle) * cross
    return (matrix + (1 - np.cos(angle)) * cross @ cross).astype(np.float32)


def yaw(angle):
    """Rotation about the vertical; positive turns z towards x."""
    return rotation((0, 1, 0), angle)


def pitch(angle):
    """Rotation about x; positive turns z downwards."""
    return rotation((1, 0, 0), angle)


def roll(angle):
    return rotation((0, 0, 1), angle)
