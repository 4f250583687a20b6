"""Convex solids in their own unit space, met by rays analytically.

Rays are origins and directions, float32 [3, N] each; a solid answers with the interval
of ray parameters inside it (entry > exit: missed). Affine maps keep ray parameters, so
an interval found in a solid's own space holds in the world.
"""

import dataclasses

import numpy as np

_FAR = np.float32(1e6)
_TINY = np.float32(1e-12)


def _slab(origin, direction, low, high):
    """The interval in which low <= origin + t * direction <= high."""
    inverse = 1 / np.where(np.abs(direction) < _TINY, _TINY, direction)
    first, second = (low - origin) * inverse, (high - origin) * inverse
    return np.minimum(first, second), np.maximum(first, second)


def _around(y):
    """Texture coordinate v of a height in a solid: 0 at the top."""
    return 1 - y


def _angle(x, z):
    return np.arctan2(x, z) * np.float32(0.5 / np.pi) + 0.5


@dataclasses.dataclass(frozen=True)
class Ball:
    """The unit ball, between the heights `low` and `high`."""

    low: float = -1.0
    high: float = 1.0

    def meet(self, origin, direction):
        a = np.einsum("in,in->n", direction, direction)
        b = np.einsum("in,in->n", origin, direction)
        c = np.einsum("in,in->n", origin, origin) - 1
        discriminant = b * b - a * c
        root = np.sqrt(np.maximum(discriminant, 0))
        missed = discriminant < 0
        entry = np.where(missed, _FAR, (-b - root) / a)
        leave = np.where(missed, -_FAR, (-b + root) / a)
        if self.low > -1 or self.high < 1:
            low, high = _slab(origin[1], direction[1], self.low, self.high)
            entry, leave = np.maximum(entry, low), np.minimum(leave, high)
        return entry, leave

    def surface(self, points):
        """Normals [3, N], of any length, and texture coordinates [2, N] of points."""
        x, y, z = points
        normals = points.copy()
        for height, sign in ((self.low, -1), (self.high, 1)):
            if abs(height) < 1:
                flat = np.abs(y - height) < 1e-3
                normals[:, flat] = np.float32([[0], [sign], [0]])
        v = np.arccos(np.clip(y, -1, 1)) / np.float32(np.pi)
        return normals, np.stack([_angle(x, z), v])

    def hull(self, count=12):
        """Points [3, K] whose convex hull is nearly the solid: `count` around it."""
        heights = np.linspace(self.low, self.high, count // 2 + 1)
        return _rings(heights, np.sqrt(np.maximum(0, 1 - heights**2)), count)


@dataclasses.dataclass(frozen=True)
class Frustum:
    """A cylinder or cone of heights 0 to 1 with radii `bottom` and `top`."""

    bottom: float = 1.0
    top: float = 1.0

    def meet(self, origin, direction):
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
        # A ray steeper than the cone is inside it from or up to one of the crossings:
        # which one says whether the cone's radius grows along the ray.
        steep = a < 0
        grows = growth > 0
        entry = np.where(steep, np.where(grows, second, -_FAR), first)
        leave = np.where(steep, np.where(grows, _FAR, first), second)
        entry = np.where((discriminant < 0) & ~steep, _FAR, entry)
        low, high = _slab(origin[1], direction[1], 0, 1)
        return np.maximum(entry, low), np.minimum(leave, high)

    def surface(self, points):
        x, y, z = points
        slope = self.top - self.bottom
        radius = self.bottom + slope * y
        normals = np.stack([x, -slope * radius, z])
        side = np.abs(np.hypot(x, z) - radius)
        for height, sign in ((0, -1), (1, 1)):
            flat = np.abs(y - height) < np.minimum(1e-3, side)
            normals[:, flat] = np.float32([[0], [sign], [0]])
        return normals, np.stack([_angle(x, z), _around(y)])

    def hull(self, count=12):
        return _rings(np.array([0.0, 1.0]), np.array([self.bottom, self.top]), count)


@dataclasses.dataclass(frozen=True)
class Polyhedron:
    """The points with normal . p <= distance for all planes; about [-1, 1] cubed.

    Attributes:
      planes: tuple of (nx, ny, nz, distance).
      corners: tuple of (x, y, z).
    """

    planes: tuple
    corners: tuple

    def meet(self, origin, direction):
        entry, leave = -_FAR, _FAR
        for nx, ny, nz, distance in self.planes:
            speed = nx * direction[0] + ny * direction[1] + nz * direction[2]
            height = nx * origin[0] + ny * origin[1] + nz * origin[2] - distance
            speed = np.where(np.abs(speed) < _TINY, _TINY, speed)
            crossing = -height / speed
            entry = np.maximum(entry, np.where(speed < 0, crossing, -_FAR))
            leave = np.minimum(leave, np.where(speed > 0, crossing, _FAR))
        return entry, leave

    def surface(self, points):
        planes = np.float32(self.planes)
        above = planes[:, :3] @ points - planes[:, 3:]
        return _faces(points, planes[np.argmax(above, axis=0), :3].T)

    def hull(self, count=12):
        del count
        return np.float32(self.corners).T


@dataclasses.dataclass(frozen=True)
class Box:
    """The cube [-1, 1] x [-1, 1] x [-1, 1]."""

    def meet(self, origin, direction):
        low, high = _slab(origin, direction, np.float32(-1), np.float32(1))
        return low.max(axis=0), high.min(axis=0)

    def surface(self, points):
        axis = np.argmax(np.abs(points), axis=0)
        columns = np.arange(points.shape[1])
        normals = np.zeros_like(points)
        normals[axis, columns] = np.sign(points[axis, columns])
        return _faces(points, normals)

    def hull(self, count=12):
        del count
        return np.float32(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1)


def _faces(points, normals):
    """Lays the texture on each face along the two axes that it faces least."""
    x, y, z = points * np.float32(0.5) + np.float32(0.5)
    axis = np.argmax(np.abs(normals), axis=0)
    u = np.where(axis == 0, z, x)
    v = np.where(axis == 1, z, 1 - y)
    return normals, np.stack([u, v])


def _rings(heights, radii, count):
    angles = np.arange(count) * (2 * np.pi / count)
    x = radii[:, None] * np.sin(angles)
    z = radii[:, None] * np.cos(angles)
    y = np.broadcast_to(heights[:, None], x.shape)
    return np.float32([x.ravel(), y.ravel(), z.ravel()])


def prism(outline):
    """A flat polygon, drawn out over z in [-1, 1].

    Args:
      outline: convex, counter-clockwise (x, y) pairs.
    """
    planes = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, -1.0, 1.0)]
    following = outline[1:] + outline[:1]
    for (x0, y0), (x1, y1) in zip(outline, following):
        length = float(np.hypot(x1 - x0, y1 - y0))
        nx, ny = (y1 - y0) / length, (x0 - x1) / length
        planes.append((nx, ny, 0.0, nx * x0 + ny * y0))
    corners = tuple((x, y, z) for x, y in outline for z in (-1.0, 1.0))
    return Polyhedron(tuple(planes), corners)
