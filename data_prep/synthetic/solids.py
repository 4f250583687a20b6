"""Convex solids and where rays cross them, computed analytically.

Each solid is defined in its own unit space. A ray is the set of points
origin + t * direction; an affine map of the solid keeps t, so an interval of t that is
computed in the solid's space also holds in the world.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable

import numpy as np

from data_prep.synthetic.arrays import Float32, Floats

_FAR = np.float32(1e6)
_TINY = np.float32(1e-12)


class Solid(abc.ABC):
    """A convex solid in its unit space."""

    @abc.abstractmethod
    def intersect(self, origin: Float32, direction: Float32) -> tuple[Floats, Floats]:
        """Finds the part of each ray that lies inside the solid.

        Args:
          origin: float32 [3, N], or [3, 1] when all rays have the same origin.
          direction: float32 [3, N], of any length.

        Returns:
          (entry, exit): the ray parameters t [N] at which each ray enters and leaves
          the solid. Where the ray misses the solid, entry > exit.
        """

    @abc.abstractmethod
    def surface(self, points: Float32) -> tuple[Float32, Float32]:
        """Describes the surface at points [3, N] that lie on it.

        Returns:
          (normals, uv): outward normals [3, N] of any length, and texture coordinates
          [2, N].
        """

    @abc.abstractmethod
    def hull(self, count: int = 12) -> Float32:
        """Returns points [3, K] whose convex hull is nearly the solid.

        Args:
          count: number of points around a round solid.
        """


def _between(
    origin: Float32,
    direction: Float32,
    low: float | np.float32,
    high: float | np.float32,
) -> tuple[Float32, Float32]:
    """The interval of t in which low <= origin + t * direction <= high."""
    inverse = 1 / np.where(np.abs(direction) < _TINY, _TINY, direction)
    first, second = (low - origin) * inverse, (high - origin) * inverse
    return np.minimum(first, second), np.maximum(first, second)


def _longitude(x: Float32, z: Float32) -> Float32:
    """Texture coordinate u around the y axis, from 0 to 1."""
    return np.arctan2(x, z) * np.float32(0.5 / np.pi) + 0.5


def _level_caps(
    normals: Float32,
    y: Float32,
    caps: Iterable[tuple[float, int]],
    tolerance: float | Floats,
) -> None:
    """Points the normals on flat caps, given as (height, 1 or -1), up or down."""
    for height, sign in caps:
        on_cap = np.abs(y - height) < tolerance
        normals[:, on_cap] = np.array([[0], [sign], [0]], np.float32)


@dataclasses.dataclass(frozen=True)
class Ball(Solid):
    """The unit ball, cut off below the height `low` and above the height `high`."""

    low: float = -1.0
    high: float = 1.0

    def intersect(self, origin: Float32, direction: Float32) -> tuple[Floats, Floats]:
        a = np.einsum("in,in->n", direction, direction)
        b = np.einsum("in,in->n", origin, direction)
        c = np.einsum("in,in->n", origin, origin) - 1
        discriminant = b * b - a * c
        root = np.sqrt(np.maximum(discriminant, 0))
        missed = discriminant < 0
        entry = np.where(missed, _FAR, (-b - root) / a)
        leave = np.where(missed, -_FAR, (-b + root) / a)
        if self.low > -1 or self.high < 1:
            low, high = _between(origin[1], direction[1], self.low, self.high)
            entry, leave = np.maximum(entry, low), np.minimum(leave, high)
        return entry, leave

    def surface(self, points: Float32) -> tuple[Float32, Float32]:
        x, y, z = points
        normals = points.copy()
        caps = [(self.low, -1)] * (self.low > -1) + [(self.high, 1)] * (self.high < 1)
        _level_caps(normals, y, caps, 1e-3)
        v = np.arccos(np.clip(y, -1, 1)) / np.float32(np.pi)
        return normals, np.stack([_longitude(x, z), v])

    def hull(self, count: int = 12) -> Float32:
        heights = np.linspace(self.low, self.high, count // 2 + 1)
        return _rings(heights, np.sqrt(np.maximum(0, 1 - heights**2)), count)


@dataclasses.dataclass(frozen=True)
class Frustum(Solid):
    """A cylinder or cone about the y axis from y = 0 to 1.

    Attributes:
      bottom, top: radius at y = 0 and y = 1.
    """

    bottom: float = 1.0
    top: float = 1.0

    def intersect(self, origin: Float32, direction: Float32) -> tuple[Floats, Floats]:
        slope = np.float32(self.top - self.bottom)
        radius = self.bottom + slope * origin[1]
        growth = slope * direction[1]
        a = direction[0] ** 2 + direction[2] ** 2 - growth**2
        b = origin[0] * direction[0] + origin[2] * direction[2] - radius * growth
        c = origin[0] ** 2 + origin[2] ** 2 - radius**2
        a = np.where(np.abs(a) < _TINY, _TINY, a)
        discriminant = b * b - a * c
        root = np.sqrt(np.maximum(discriminant, 0))
        first, second = (-b - root) / a, (-b + root) / a
        first, second = np.minimum(first, second), np.maximum(first, second)
        # A ray steeper than the cone crosses its side once: it is inside from that
        # crossing on if the cone's radius grows along the ray, else up to it.
        steep = a < 0
        grows = growth > 0
        entry = np.where(steep, np.where(grows, second, -_FAR), first)
        leave = np.where(steep, np.where(grows, _FAR, first), second)
        entry = np.where((discriminant < 0) & ~steep, _FAR, entry)
        low, high = _between(origin[1], direction[1], 0, 1)
        return np.maximum(entry, low), np.minimum(leave, high)

    def surface(self, points: Float32) -> tuple[Float32, Float32]:
        x, y, z = points
        slope = self.top - self.bottom
        radius = self.bottom + slope * y
        normals = np.stack([x, -slope * radius, z])
        to_side = np.abs(np.hypot(x, z) - radius)
        _level_caps(normals, y, ((0, -1), (1, 1)), np.minimum(1e-3, to_side))
        return normals, np.stack([_longitude(x, z), 1 - y])

    def hull(self, count: int = 12) -> Float32:
        return _rings(np.array([0.0, 1.0]), np.array([self.bottom, self.top]), count)


@dataclasses.dataclass(frozen=True)
class Polyhedron(Solid):
    """The points p with normal . p <= distance for all planes.

    It should about fill the cube [-1, 1]^3, which the texture coordinates assume.

    Attributes:
      planes: (normal x, y, z, distance) of each face.
      corners: (x, y, z) of each corner.
    """

    planes: tuple[tuple[float, float, float, float], ...]
    corners: tuple[tuple[float, float, float], ...]

    def intersect(self, origin: Float32, direction: Float32) -> tuple[Floats, Floats]:
        entry = np.full(direction.shape[1], -_FAR)
        leave = np.full(direction.shape[1], _FAR)
        for nx, ny, nz, distance in self.planes:
            speed = nx * direction[0] + ny * direction[1] + nz * direction[2]
            height = nx * origin[0] + ny * origin[1] + nz * origin[2] - distance
            speed = np.where(np.abs(speed) < _TINY, _TINY, speed)
            crossing = -height / speed
            entry = np.maximum(entry, np.where(speed < 0, crossing, -_FAR))
            leave = np.minimum(leave, np.where(speed > 0, crossing, _FAR))
        return entry, leave

    def surface(self, points: Float32) -> tuple[Float32, Float32]:
        planes = np.array(self.planes, np.float32)
        above = planes[:, :3] @ points - planes[:, 3:]
        normals = planes[np.argmax(above, axis=0), :3].T
        return normals, _face_coordinates(points, normals)

    def hull(self, count: int = 12) -> Float32:
        del count
        return np.array(self.corners, np.float32).T


@dataclasses.dataclass(frozen=True)
class Box(Solid):
    """The cube [-1, 1] x [-1, 1] x [-1, 1]."""

    def intersect(self, origin: Float32, direction: Float32) -> tuple[Floats, Floats]:
        low, high = _between(origin, direction, np.float32(-1), np.float32(1))
        return low.max(axis=0), high.min(axis=0)

    def surface(self, points: Float32) -> tuple[Float32, Float32]:
        axis = np.argmax(np.abs(points), axis=0)
        columns = np.arange(points.shape[1])
        normals = np.zeros_like(points)
        normals[axis, columns] = np.sign(points[axis, columns])
        return normals, _face_coordinates(points, normals)

    def hull(self, count: int = 12) -> Float32:
        del count
        corners = np.meshgrid([-1, 1], [-1, 1], [-1, 1])
        return np.array(corners, np.float32).reshape(3, -1)


def _face_coordinates(points: Float32, normals: Float32) -> Float32:
    """Texture coordinates [2, N] along the two axes that a flat face faces least."""
    x, y, z = points * np.float32(0.5) + np.float32(0.5)
    axis = np.argmax(np.abs(normals), axis=0)
    u = np.where(axis == 0, z, x)
    v = np.where(axis == 1, z, 1 - y)
    return np.stack([u, v])


def _rings(heights: Floats, radii: Floats, count: int) -> Float32:
    """`count` points on each of some circles about the y axis: [3, K]."""
    angles = np.arange(count) * (2 * np.pi / count)
    x = radii[:, None] * np.sin(angles)
    z = radii[:, None] * np.cos(angles)
    y = np.broadcast_to(heights[:, None], x.shape)
    return np.array([x.ravel(), y.ravel(), z.ravel()], np.float32)


def prism(outline: list[tuple[float, float]]) -> Polyhedron:
    """Extrudes a polygon in the x-y plane along z, from -1 to 1.

    Args:
      outline: (x, y) of the corners, convex and counter-clockwise.
    """
    planes = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, -1.0, 1.0)]
    for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1]):
        length = float(np.hypot(x1 - x0, y1 - y0))
        nx, ny = (y1 - y0) / length, (x0 - x1) / length
        planes.append((nx, ny, 0.0, nx * x0 + ny * y0))
    corners = tuple((x, y, z) for x, y in outline for z in (-1.0, 1.0))
    return Polyhedron(tuple(planes), corners)
