"""Draws scenes for videos: moving objects in front of a moving camera."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from data_prep.synthetic import placement, rooms, rotations
from data_prep.synthetic.arrays import Floats, UInt8
from data_prep.synthetic.object_classes import ObjectClass
from data_prep.synthetic.renderer import Rendering
from data_prep.synthetic.scene import Camera, Motion, Room, Scene, SceneObject
from data_prep.synthetic.still_scenes import level_camera, place_in_view

# Speed of objects in the image, about, in pixels per frame.
_SPEEDS = (1.5, 5.0)
# Objects and cameras of longer videos are slower, so that they stay in view.
_FULL_SPEED_FRAMES = 48
# Largest distance of a moving object from the camera, in metres.
_FARTHEST = 4.0
# Smallest distance of its front from z = 0, where the camera is, in metres.
_NEAREST = 0.8
_ATTEMPTS = 40


@dataclasses.dataclass(frozen=True)
class CameraPath:
    """How a camera moves.

    Attributes:
      start: the camera in frame 0.
      yaw_rate, pitch_rate: radians per frame.
      velocity: [3], metres per frame.
      zoom: relative growth of the focal length per frame.
      shake: [frames, 3], yaw, pitch and roll in radians, added in each frame.
    """

    start: Camera
    yaw_rate: float
    pitch_rate: float
    velocity: Floats
    zoom: float
    shake: Floats

    def camera(self, frame: int) -> Camera:
        """Returns the camera in a frame."""
        yaw, pitch, roll = self.shake[frame]
        rotation = rotations.yaw(frame * self.yaw_rate + yaw) @ self.start.rotation
        rotation = rotation @ rotations.pitch(frame * self.pitch_rate + pitch)
        return dataclasses.replace(
            self.start,
            position=self.start.position + frame * self.velocity,
            rotation=rotation @ rotations.roll(roll),
            focal=self.start.focal * (1 + self.zoom) ** frame,
        )


def draw_camera_path(random: Generator, start: Camera, frames: int) -> CameraPath:
    """Draws a path with some of: a pan, a translation, a zoom, a shake."""
    pixel = 1 / start.focal
    pan = random.random() < 0.5
    yaw_rate = pan * random.choice([-1, 1]) * random.uniform(0.4, 2.0) * pixel
    pitch_rate = pan * random.uniform(-0.3, 0.3) * pixel
    velocity = np.zeros(3)
    if random.random() < 0.45:
        velocity = random.uniform((-0.008, -0.002, -0.004), (0.008, 0.002, 0.012))
    zoom = random.uniform(-0.004, 0.006) if random.random() < 0.3 else 0.0
    slower = _speed_factor(frames)
    shake = np.zeros((frames, 3))
    if random.random() < 0.5:
        jumps = random.normal(0, 1, (frames + 4, 3)) * pixel * (1.0, 1.0, 0.5)
        weights = np.array([1, 2, 3, 2, 1]) / 9
        shake = np.stack(
            [np.convolve(line, weights, "valid") for line in jumps.T], axis=1
        )
    return CameraPath(
        start,
        slower * yaw_rate,
        slower * pitch_rate,
        slower * velocity,
        slower * zoom,
        shake,
    )


def _speed_factor(frames: int) -> float:
    return min(1.0, _FULL_SPEED_FRAMES / frames)


def video_scene(
    random: Generator,
    kinds: Sequence[ObjectClass],
    height: int,
    width: int,
    frames: int,
) -> tuple[Scene, CameraPath]:
    """Draws a room with one to three moving objects and a few objects at rest.

    Args:
      random: generator.
      kinds: classes of the objects; some of them must be able to move.
      height, width: of the frames.
      frames: length of the video.
    """
    moving: list[SceneObject] = []
    while not moving:
        room, furniture = rooms.draw_room(random)
        start = level_camera(random, height, width)
        path = draw_camera_path(random, start, frames)
        middle = path.camera(frames // 2)
        movable = [kind for kind in kinds if kind.moves]
        count = int(random.integers(1, 4))
        for kind in placement.draw_classes(random, movable, count):
            mover = _draw_moving(random, kind, moving, room, middle, frames)
            moving += [mover] if mover is not None else []
    blocked = [place for mover in moving for place in _along_way(mover, frames)]
    placed = blocked.copy()
    immovable = [kind for kind in kinds if not kind.moves]
    count = int(random.integers(2, 5))
    for kind in placement.draw_classes(random, immovable, count):
        placement.add_object(
            placed,
            placement.draw_object(random, kind),
            room,
            lambda: place_in_view(random, middle, room),
        )
    resting = placed[len(blocked) :]
    lights, ambient = rooms.draw_lights(random, room)
    scene_objects = (furniture, *moving, *resting)
    return Scene(room, scene_objects, lights, ambient), path


def _draw_moving(
    random: Generator,
    kind: ObjectClass,
    others: list[SceneObject],
    room: Room,
    camera: Camera,
    frames: int,
) -> SceneObject | None:
    """Draws an object whose way through the view is free, or None after failures."""
    blocked = [place for other in others for place in _along_way(other, frames)]
    for _ in range(_ATTEMPTS):
        x, z = place_in_view(random, camera, room, _FARTHEST)
        depth = max(1.0, z - camera.position[2])
        pixels = random.uniform(*_SPEEDS) * _speed_factor(frames)
        speed = pixels * depth / camera.focal
        # Mostly across the view.
        heading = random.choice([-1, 1]) * (np.pi / 2 + random.normal(0, 0.4))
        drawn = placement.draw_object(random, kind, yaw=heading)
        motion = Motion(
            velocity=speed * np.array([np.sin(heading), 0.0, np.cos(heading)]),
            rolls=kind.rolls,
            hop=0.0 if kind.rolls or random.random() < 0.6 else 0.12 * drawn.size,
            sway=0.0 if kind.rolls else random.uniform(0, 0.12),
            period=random.uniform(8, 16),
            middle=frames / 2,
        )
        mover = dataclasses.replace(placement.moved_to(drawn, x, z), motion=motion)
        if all(
            place.position[2] - place.radius > _NEAREST
            and placement.is_free(place, blocked, room)
            for place in _along_way(mover, frames)
        ):
            return mover
    return None


def _along_way(mover: SceneObject, frames: int) -> list[SceneObject]:
    """The moving object at seven places along its way."""
    motion = mover.motion
    assert motion is not None
    positions = [
        mover.position + (time - motion.middle) * motion.velocity
        for time in np.linspace(0, frames, 7)
    ]
    return [placement.moved_to(mover, x, z) for x, _, z in positions]


def moving_mask(scene: Scene, rendering: Rendering) -> UInt8:
    """Marks the pixels of moving objects: uint8 [H, W] of 0 and 1.

    An object moves when its pose in the world changes from a frame to the next. Its
    shadow, and what only the camera moves in the image, are 0.
    """
    # The last entry is the room's, whose index is -1.
    moves = [placed.motion is not None for placed in scene.objects] + [False]
    return np.array(moves, np.uint8)[rendering.object_index]
