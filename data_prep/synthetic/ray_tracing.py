"""What rays through an image's points meet first, part by part."""

import dataclasses
from typing import Any

import numpy as np

from data_prep.synthetic.parts import Part

FLOOR, WALL_X, WALL_Z, CEILING = -1, -2, -3, -4
# A solid may bulge out between the points of its hull.
_BULGE = 1.15
_NEAR = 0.05


class Grid:
    """Image points: the centres of all pixels."""

    def __init__(self, height, width):
        self.height, self.width = height, width
        v, u = np.mgrid[:height, :width].astype(np.float32) + 0.5
        self.u, self.v = u.ravel(), v.ravel()

    def within(self, window):
        """Indices of the points inside (left, top, right, bottom)."""
        left, top = (max(0, int(np.floor(one))) for one in window[:2])
        right = min(self.width, int(np.ceil(window[2])))
        bottom = min(self.height, int(np.ceil(window[3])))
        if right <= left or bottom <= top:
            return np.zeros(0, int)
        rows = np.arange(top, bottom)[:, None] * self.width
        return (rows + np.arange(left, right)).ravel()


class Scatter:
    """Image points anywhere: `u`, `v` float32 [N]."""

    def __init__(self, u, v):
        self.u, self.v = u, v

    def within(self, window):
        left, top, right, bottom = window
        inside = (self.u >= left) & (self.u <= right)
        inside &= (self.v >= top) & (self.v <= bottom)
        return np.flatnonzero(inside)


@dataclasses.dataclass(frozen=True)
class Placed:
    """A part where it is at some time.

    Attributes:
      part: `Part`.
      thing: index of its thing in the scene.
      matrix, offset: world from the solid's space.
      inverse: of `matrix`.
    """

    part: Part
    thing: int
    matrix: np.ndarray
    offset: np.ndarray
    inverse: np.ndarray

    def local(self, points):
        """World points [3, N] in the solid's space."""
        return self.inverse @ (points - self.offset[:, None])

    def window(self, camera):
        """Where in the image it can be: (left, top, right, bottom), None for nowhere."""
        hull = self.matrix @ self.part.solid.hull() + self.offset[:, None]
        return window_of(hull, camera)


def window_of(hull, camera):
    """The image window around points [3, K], with some margin; None when behind."""
    u, v, depth = camera.project(hull)
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


def place_all(scene, time):
    """All parts of a scene at a time: list of `Placed`."""
    placed = []
    for index, thing in enumerate(scene.things):
        matrix, offset = thing.pose(time)
        for part in thing.parts:
            whole = matrix @ part.matrix
            at = matrix @ part.offset + offset
            placed.append(Placed(part, index, whole, at, np.linalg.inv(whole)))
    return placed


@dataclasses.dataclass
class Hits:
    """What rays meet.

    Attributes:
      depth: float32 [N], metres along the camera's axis.
      part: int16 [N], index into the placed parts, or a surface of the room (< 0).
      direction: float32 [3, N].
      origin: float32 [3].
    """

    depth: np.ndarray
    part: np.ndarray
    direction: np.ndarray
    origin: np.ndarray

    def points(self, where: Any = slice(None)):
        """World points [3, M] of some of the hits."""
        return self.origin[:, None] + self.direction[:, where] * self.depth[where]


def trace(room, placed, camera, image_points):
    """Follows rays through image points to the first surface.

    Args:
      room: `Room`.
      placed: list of `Placed`.
      camera: `Camera`, inside the room.
      image_points: `Grid` or `Scatter`.

    Returns:
      `Hits`.
    """
    origin = camera.position.astype(np.float32)
    direction = camera.directions(image_points.u, image_points.v)
    depth, part = _meet_room(room, origin, direction)
    for index, one in enumerate(placed):
        found, entry = _meet_part(one, camera, image_points, origin, direction)
        nearer = entry < depth[found]
        found = found[nearer]
        depth[found] = entry[nearer]
        part[found] = index
    return Hits(depth, part, direction, origin)


def covered(placed, camera, image_points):
    """Which image points lie on any of the parts, seen or hidden: bool [N]."""
    origin = camera.position.astype(np.float32)
    direction = camera.directions(image_points.u, image_points.v)
    covers = np.zeros(len(image_points.u), bool)
    for one in placed:
        found, _ = _meet_part(one, camera, image_points, origin, direction)
        covers[found] = True
    return covers


def _meet_part(one, camera, image_points, origin, direction):
    """(indices of the rays that meet the part, depths at which they enter it)."""
    window = one.window(camera)
    nothing = np.zeros(0, int), np.zeros(0, np.float32)
    if window is None:
        return nothing
    chosen = image_points.within(window)
    if not len(chosen):
        return nothing
    local = one.inverse @ direction[:, chosen]
    # Rays start anew at the part's depth: numbers of about one keep float32 exact.
    middle = camera.turn[:, 2] @ (one.offset - camera.position)
    start = one.local(origin[:, None]) + np.float32(middle) * local
    entry, leave = one.part.solid.meet(start, local)
    met = (entry <= leave) & (entry + middle > _NEAR)
    return chosen[met], (entry[met] + middle).astype(np.float32)


def _meet_room(room, origin, direction):
    """(depth, surface) of the room's inside, which every ray meets."""
    x, y, z = np.where(np.abs(direction) < 1e-9, np.float32(1e-9), direction)
    far = np.float32([room.half_width, room.height, room.depth])
    # The wall behind the camera is far; the camera looks the other way.
    near = np.float32([-room.half_width, 0, -100])
    low, high = near - origin, far - origin
    to_x = np.where(x > 0, high[0], low[0]) / x
    to_y = np.where(y > 0, high[1], low[1]) / y
    to_z = np.where(z > 0, high[2], low[2]) / z
    depth = np.minimum(np.minimum(to_x, to_y), to_z)
    surface = np.where(y > 0, CEILING, FLOOR)
    surface[depth == to_x] = WALL_X
    surface[depth == to_z] = WALL_Z
    return depth, surface.astype(np.int16)
