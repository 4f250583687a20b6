"""What a scene contains, and where its objects are at a given time.

World coordinates are in metres: x to the right, y up, z away from the first camera; the
floor is y = 0. Time is counted in frames.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from data_prep.synthetic import rotations
from data_prep.synthetic.arrays import Float32, Floats

if TYPE_CHECKING:
    from data_prep.synthetic.object_classes import ObjectClass
    from data_prep.synthetic.parts import Part
    from data_prep.synthetic.textures import Texture


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
      position: [3].
      rotation: [3, 3], from the camera's axes (right, up, forward) to the world's.
      focal: focal length in pixels.
      height, width: of its image in pixels.
    """

    position: Floats
    rotation: Floats
    focal: float
    height: int
    width: int

    def directions(self, u: Floats, v: Floats) -> Float32:
        """Returns the rays through image points, whose parameter is depth in metres.

        Args:
          u, v: [N], pixels from the left and upper edge of the image; the centre of
            the first pixel is at (0.5, 0.5).

        Returns:
          float32 [3, N] in world axes.
        """
        x = (u - self.width / 2) / self.focal
        y = (self.height / 2 - v) / self.focal
        local = np.stack([x, y, np.ones_like(x)]).astype(np.float32)
        return self.rotation.astype(np.float32) @ local

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Projects world points [3, K] into the image.

        Returns:
          (u, v, depth), [K] each; points with depth <= 0 are behind the camera.
        """
        x, y, depth = self.rotation.T @ (points - self.position[:, None])
        safe = np.where(depth > 1e-6, depth, 1e-6)
        u = self.width / 2 + self.focal * x / safe
        v = self.height / 2 - self.focal * y / safe
        return u, v, depth


@dataclasses.dataclass(frozen=True)
class Motion:
    """How an object moves.

    Attributes:
      velocity: [3], metres per frame, horizontal.
      rolls: whether it rolls along, as a ball does.
      hop: height of its hops in metres.
      sway: amplitude of its turning to either side in radians.
      period: frames of a hop; a sway takes as long.
      middle: the frame in which the object is at its `position`.
    """

    velocity: Floats
    rolls: bool = False
    hop: float = 0.0
    sway: float = 0.0
    period: float = 12.0
    middle: float = 0.0


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """An object of a class, or all furniture of the room together.

    Attributes:
      parts: its parts, in units of `size`.
      size: metres per unit.
      position: [3], where its pivot is when it does not move.
      rotation: [3, 3], from the object's axes to the world's.
      pivot: [3] in units, the point that it rotates about.
      radius: metres, of a vertical cylinder about the pivot that encloses it.
      kind: its class; None for furniture.
      motion: how it moves; None when it rests.
    """

    parts: tuple[Part, ...]
    size: float
    position: Floats
    rotation: Floats
    pivot: Floats
    radius: float = 0.0
    kind: ObjectClass | None = None
    motion: Motion | None = None

    def pose(self, time: float) -> tuple[Float32, Float32]:
        """(matrix [3, 3], offset [3]) of the map from units to the world at a time."""
        position, rotation = self.position, self.rotation
        if self.motion is not None:
            position, rotation = self._moved(self.motion, time - self.motion.middle)
        matrix = (rotation * self.size).astype(np.float32)
        return matrix, (position - matrix @ self.pivot).astype(np.float32)

    def _moved(self, motion: Motion, time: float) -> tuple[Floats, Floats]:
        """(position, rotation) `time` frames after the object is at `position`."""
        position = self.position + time * motion.velocity
        phase = np.pi * time / motion.period
        position = position + [0, motion.hop * abs(np.sin(phase)), 0]
        rotation = rotations.yaw(motion.sway * np.sin(2 * phase)) @ self.rotation
        speed = np.linalg.norm(motion.velocity)
        if motion.rolls and speed:
            axis = np.cross([0.0, 1.0, 0.0], motion.velocity / speed)
            angle = time * speed / self.position[1]
            rotation = rotations.about_axis(axis, angle) @ rotation
        return position, rotation


@dataclasses.dataclass(frozen=True)
class Room:
    """A box-shaped room. The camera stands inside and never sees the near wall.

    Attributes:
      half_width: metres; the side walls are at x = -half_width and half_width.
      depth: z of the back wall in metres.
      height: y of the ceiling in metres.
      floor, walls, ceiling: their textures.
      tile: metres that a texture covers: on the floor, walls and ceiling.
    """

    half_width: float
    depth: float
    height: float
    floor: Texture
    walls: Texture
    ceiling: Texture
    tile: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Light:
    """A point lamp.

    Attributes:
      position: [3].
      color: [3], RGB radiance at distance 0.
      reach: metres at which the light has fallen to half.
    """

    position: Floats
    color: Float32
    reach: float


@dataclasses.dataclass(frozen=True)
class Scene:
    """A room with objects in it.

    Attributes:
      room: the room.
      objects: its furniture and objects, in any order.
      lights: the lamps; the first casts shadows and highlights.
      ambient: [3], RGB of the light from all directions.
    """

    room: Room
    objects: tuple[SceneObject, ...]
    lights: tuple[Light, ...]
    ambient: Float32
