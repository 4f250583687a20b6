"""What a scene holds, and where its things are at a time.

World: metres, x to the right, y up, z away from the first camera; the floor is y = 0.
Time is counted in frames.
"""

import dataclasses
from typing import Any, Optional

import numpy as np

from data_prep.synthetic import parts


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
      position: float [3].
      turn: float [3, 3], world from camera; the camera's axes are right, up, forward.
      focal: focal length in pixels.
      height, width: of its image.
    """

    position: np.ndarray
    turn: np.ndarray
    focal: float
    height: int
    width: int

    def directions(self, u, v):
        """Rays through image points: [3, N]. Their parameter is depth in metres.

        Args:
          u, v: pixels from the image's left and upper edge; a pixel's centre is at .5.
        """
        x = (u - self.width / 2) / self.focal
        y = (self.height / 2 - v) / self.focal
        inside = np.stack([x, y, np.ones_like(x)])
        return (self.turn.astype(np.float32) @ inside.astype(np.float32)).astype(
            np.float32
        )

    def project(self, points):
        """(u, v, depth) of points [3, K]; where depth <= 0 they are behind it."""
        x, y, depth = self.turn.T @ (points - self.position[:, None])
        safe = np.where(depth > 1e-6, depth, 1e-6)
        u = self.width / 2 + self.focal * x / safe
        v = self.height / 2 - self.focal * y / safe
        return u, v, depth


@dataclasses.dataclass(frozen=True)
class Motion:
    """How a thing moves on its own.

    Attributes:
      velocity: [3], metres a frame, level.
      rolls: whether it rolls on its way, as a ball does.
      hop: height of its hops in metres.
      sway: amplitude of its turning to and fro in radians.
      period: frames of a hop and of a sway.
      middle: frame in which it is at its thing's position.
    """

    velocity: np.ndarray
    rolls: bool = False
    hop: float = 0.0
    sway: float = 0.0
    period: float = 12.0
    middle: float = 0.0


@dataclasses.dataclass(frozen=True)
class Thing:
    """An object, or a fitting of the room.

    Attributes:
      parts: tuple of `parts.Part`, in units of `size`.
      size: metres a unit.
      position: [3], where its pivot is at rest.
      turn: [3, 3], world from thing.
      pivot: [3] in units, about which it turns.
      radius: metres, of a vertical cylinder about the pivot that holds it.
      kind: its `objects.ObjectClass`, None for a fitting.
      motion: `Motion`, or None for what rests.
    """

    parts: tuple
    size: float
    position: np.ndarray
    turn: np.ndarray
    pivot: np.ndarray
    radius: float = 0.0
    kind: Any = None
    motion: Optional[Motion] = None

    def pose(self, time):
        """(matrix [3, 3], offset [3]): the map from units to the world at a time."""
        position, turn = self.position, self.turn
        if self.motion is not None:
            position, turn = self._moved(time - self.motion.middle)
        matrix = (turn * self.size).astype(np.float32)
        return matrix, (position - matrix @ self.pivot).astype(np.float32)

    def _moved(self, time):
        motion = self.motion
        position = self.position + time * motion.velocity
        phase = np.pi * time / motion.period
        position = position + [0, motion.hop * abs(np.sin(phase)), 0]
        turn = parts.yaw(motion.sway * np.sin(2 * phase)) @ self.turn
        speed = np.linalg.norm(motion.velocity)
        if motion.rolls and speed:
            axis = np.cross([0, 1, 0], motion.velocity / speed)
            turn = parts.rotation(axis, time * speed / self.position[1]) @ turn
        return position, turn


@dataclasses.dataclass(frozen=True)
class Room:
    """A box of a room; the near wall is never seen.

    Attributes:
      half_width: metres; the side walls are at x = -half_width and half_width.
      depth: the back wall's z.
      height: the ceiling's y.
      floor, walls, ceiling: `textures.Texture`.
      tile: metres that a texture covers, for each of the three.
    """

    half_width: float
    depth: float
    height: float
    floor: Any
    walls: Any
    ceiling: Any
    tile: tuple


@dataclasses.dataclass(frozen=True)
class Light:
    """A lamp.

    Attributes:
      position: [3].
      color: float [3], RGB at no distance.
      reach: metres over which it falls to half.
    """

    position: np.ndarray
    color: np.ndarray
    reach: float


@dataclasses.dataclass(frozen=True)
class Scene:
    """A room with things in it.

    Attributes:
      room: `Room`.
      things: tuple of `Thing`: objects first or fittings first, as they come.
      lights: tuple of `Light`; the first casts the shadows.
      ambient: float [3], RGB that comes from everywhere.
    """

    room: Room
    things: tuple
    lights: tuple
    ambient: np.ndarray
