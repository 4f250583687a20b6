"""Finds the first surface that each ray through an image meets."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from data_prep.synthetic.arrays import Bool, Float32, Floats, Indices, Int16
from data_prep.synthetic.parts import Part
from data_prep.synthetic.scene import Camera, Room, Scene

# (left, top, right, bottom) in pixels.
Window = tuple[float, float, float, float]

# Surfaces of the room, where the index of a part is expected.
FLOOR, WALL_X, WALL_Z, CEILING = -1, -2, -3, -4
# A solid may bulge out between the points of its hull.
_BULGE = 1.15
# Surfaces nearer to the camera, in metres, are not seen.
_NEAR = 0.05


class ImagePoints(abc.ABC):
    """Points of an image.

    Attributes:
      u, v: float32 [N], pixels from the image's left and upper edge.
    """

    u: Float32
    v: Float32

    @abc.abstractmethod
    def within(self, window: Window) -> Indices:
        """Returns the indices of the points in a window of the image."""


class PixelGrid(ImagePoints):
    """The centres of all pixels, row by row."""

    def __init__(self, height: int, width: int) -> None:
        self._height, self._width = height, width
        v, u = np.mgrid[:height, :width].astype(np.float32) + 0.5
        self.u, self.v = u.ravel(), v.ravel()

    def within(self, window: Window) -> Indices:
        left, top = (max(0, int(np.floor(edge))) for edge in window[:2])
        right = min(self._width, int(np.ceil(window[2])))
        bottom = min(self._height, int(np.ceil(window[3])))
        if right <= left or bottom <= top:
            return np.zeros(0, np.intp)
        rows = np.arange(top, bottom)[:, None] * self._width
        return (rows + np.arange(left, right)).ravel()


class ScatteredPoints(ImagePoints):
    """Points anywhere in the image."""

    def __init__(self, u: Float32, v: Float32) -> None:
        self.u, self.v = u, v

    def within(self, window: Window) -> Indices:
        left, top, right, bottom = window
        inside = (self.u >= left) & (self.u <= right)
        inside &= (self.v >= top) & (self.v <= bottom)
        return np.flatnonzero(inside)


class Rays:
    """The rays of a camera through points of its image.

    Attributes:
      camera: the camera.
      image_points: the N points.
      origin: float32 [3], the camera's position.
      direction: float32 [3, N]; the ray parameter is depth in metres.
    """

    def __init__(self, camera: Camera, image_points: ImagePoints) -> None:
        self.camera = camera
        self.image_points = image_points
        self.origin = camera.position.astype(np.float32)
        self.direction = camera.directions(image_points.u, image_points.v)


@dataclasses.dataclass(frozen=True)
class PlacedPart:
    """A part where it is at some time.

    Attributes:
      part: the part.
      object_index: index of its object in the scene.
      matrix, offset: float32 [3, 3] and [3], the map from the solid's space to the world.
      inverse: float32 [3, 3], inverse of `matrix`.
    """

    part: Part
    object_index: int
    matrix: Float32
    offset: Float32
    inverse: Float32

    def local(self, points: Float32) -> Float32:
        """Maps world points [3, N] to the solid's space."""
        return self.inverse @ (points - self.offset[:, None])

    def window(self, camera: Camera) -> Window | None:
        """The window of the image outside of which the part is not seen."""
        hull = self.matrix @ self.part.solid.hull() + self.offset[:, None]
        return window_around(hull, camera)


def window_around(points: Floats, camera: Camera) -> Window | None:
    """Returns the image window around world points [3, K], with some margin.

    It is the whole image if some of the points are behind the camera, and None if all
    are.
    """
    u, v, depth = camera.project(points)
    if depth.max() < _NEAR:
        return None
    if depth.min() < _NEAR:
        return 0, 0, camera.width, camera.height
    reach_u = _BULGE * np.ptp(u) / 2 + 1
    reach_v = _BULGE * np.ptp(v) / 2 + 1
    middle_u, middle_v = (u.min() + u.max()) / 2, (v.min() + v.max()) / 2
    return (
        middle_u - reach_u,
        middle_v - reach_v,
        middle_u + reach_u,
        middle_v + reach_v,
    )


def place_parts(scene: Scene, time: float) -> list[PlacedPart]:
    """Places all parts of a scene's objects where they are at a time."""
    placed = []
    for index, scene_object in enumerate(scene.objects):
        matrix, offset = scene_object.pose(time)
        for part in scene_object.parts:
            whole = matrix @ part.matrix
            origin = matrix @ part.offset + offset
            placed.append(PlacedPart(part, index, whole, origin, np.linalg.inv(whole)))
    return placed


@dataclasses.dataclass(frozen=True)
class Hits:
    """What N rays meet first.

    Attributes:
      rays: the rays.
      depth: float32 [N], metres along the camera's axis.
      part: int16 [N], index into the placed parts, or a surface of the room (< 0).
    """

    rays: Rays
    depth: Float32
    part: Int16

    def points(self, chosen: Indices | slice = slice(None)) -> Float32:
        """World points [3, M] of some of the hits, by default of all."""
        reach = self.rays.direction[:, chosen] * self.depth[chosen]
        return self.rays.origin[:, None] + reach


def trace(room: Room, placed: list[PlacedPart], rays: Rays) -> Hits:
    """Follows rays, whose origin is inside the room, to the first surface."""
    depth, part = _intersect_room(room, rays)
    for index, placed_part in enumerate(placed):
        hit, entry = _intersect_part(placed_part, rays)
        nearer = entry < depth[hit]
        depth[hit[nearer]] = entry[nearer]
        part[hit[nearer]] = index
    return Hits(rays, depth, part)


def covered(placed: list[PlacedPart], rays: Rays) -> Bool:
    """Tells which rays meet any of the parts, be it hidden or not: bool [N]."""
    covers = np.zeros(rays.direction.shape[1], bool)
    for placed_part in placed:
        hit, _ = _intersect_part(placed_part, rays)
        covers[hit] = True
    return covers


def _intersect_part(part: PlacedPart, rays: Rays) -> tuple[Indices, Float32]:
    """(indices of the rays that meet the part, depths at which they enter it)."""
    camera = rays.camera
    window = part.window(camera)
    chosen = np.zeros(0, np.intp)
    if window is not None:
        chosen = rays.image_points.within(window)
    if not len(chosen):
        return chosen, np.zeros(0, np.float32)
    local = part.inverse @ rays.direction[:, chosen]
    # The ray parameter is counted from the part's depth: small numbers keep float32
    # accurate.
    middle = camera.rotation[:, 2] @ (part.offset - camera.position)
    start = part.local(rays.origin[:, None]) + np.float32(middle) * local
    entry, leave = part.part.solid.intersect(start, local)
    hit = (entry <= leave) & (entry + middle > _NEAR)
    return chosen[hit], (entry[hit] + middle).astype(np.float32)


def _intersect_room(room: Room, rays: Rays) -> tuple[Float32, Int16]:
    """(depth, surface) where each ray meets the room's inside."""
    x, y, z = np.where(np.abs(rays.direction) < 1e-9, np.float32(1e-9), rays.direction)
    far = np.array([room.half_width, room.height, room.depth], np.float32)
    # The camera looks away from the near wall, which is left out.
    near = np.array([-room.half_width, 0, -100], np.float32)
    low, high = near - rays.origin, far - rays.origin
    to_x = np.where(x > 0, high[0], low[0]) / x
    to_y = np.where(y > 0, high[1], low[1]) / y
    to_z = np.where(z > 0, high[2], low[2]) / z
    depth = np.minimum(np.minimum(to_x, to_y), to_z)
    surface = np.where(y > 0, CEILING, FLOOR)
    surface[depth == to_x] = WALL_X
    surface[depth == to_z] = WALL_Z
    return depth, surface.astype(np.int16)
