"""Parts of objects: textured solids, placed in the frame of their object."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from data_prep.synthetic import rotations, solids
from data_prep.synthetic.arrays import Float32, Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_prep.synthetic.textures import Texture

    Point = Sequence[float] | Floats


@dataclasses.dataclass(frozen=True)
class Part:
    """A solid with a texture.

    Attributes:
      solid: the shape, in its unit space.
      texture: the texture of its surface.
      matrix: float32 [3, 3], from the solid's space to the object's.
      offset: float32 [3], position of the solid's origin in the object's space.
      gloss: strength of highlights, 0 to 1.
    """

    solid: solids.Solid
    texture: Texture
    matrix: Float32
    offset: Float32
    gloss: float = 0.0

    def hull(self, count: int = 12) -> Float32:
        """Points [3, K] around the part, in the object's space (see `Solid.hull`)."""
        return self.matrix @ self.solid.hull(count) + self.offset[:, None]


def place(
    solid: solids.Solid,
    texture: Texture,
    scale: float | Point,
    position: Point = (0, 0, 0),
    rotation: Float32 = rotations.IDENTITY,
    gloss: float = 0.0,
) -> Part:
    """Makes a part: scales the solid along its axes, then rotates and moves it.

    Args:
      solid: the shape.
      texture: the texture of its surface.
      scale: factor for all three axes, or for each of them.
      position: where the solid's origin goes.
      rotation: float32 [3, 3].
      gloss: strength of highlights, 0 to 1.
    """
    matrix = (rotation @ np.diag(np.broadcast_to(scale, 3))).astype(np.float32)
    return Part(solid, texture, matrix, np.array(position, np.float32), float(gloss))


def box(
    texture: Texture,
    low: Point,
    high: Point,
    rotation: Float32 = rotations.IDENTITY,
    gloss: float = 0.0,
) -> Part:
    """Makes a box between two opposite corners, rotated about its centre."""
    low, high = np.array(low, np.float32), np.array(high, np.float32)
    half, centre = (high - low) / 2, (high + low) / 2
    return place(solids.Box(), texture, half, centre, rotation, gloss)


def rod(
    texture: Texture,
    start: Point,
    end: Point,
    bottom: float,
    top: float | None = None,
    gloss: float = 0.0,
) -> Part:
    """Makes a round rod or cone from `start` to `end`.

    Args:
      texture: the texture of its surface.
      start, end: [3], centres of its two ends.
      bottom: radius at `start`.
      top: radius at `end`; None for the same.
      gloss: strength of highlights, 0 to 1.
    """
    start, end = np.array(start, np.float32), np.array(end, np.float32)
    top = bottom if top is None else top
    widest = max(bottom, top)
    solid = solids.Frustum(bottom / widest, top / widest)
    length = float(np.linalg.norm(end - start))
    rotation = rotations.from_y_to((end - start) / length)
    return place(solid, texture, (widest, length, widest), start, rotation, gloss)
