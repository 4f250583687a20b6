"""Scenes in which objects move on their own before a camera that moves too."""

import dataclasses

import numpy as np

from data_prep.synthetic import objects, parts, shots, staging
from data_prep.synthetic.scene import Camera, Motion, Scene

# Pixels a frame that objects move by in the image, about.
_SPEEDS = (1.5, 5.0)
_FULL_SPEED_FRAMES = 48
# Metres that they are off at most.
_FARTHEST = 4.0
_TRIES = 40


@dataclasses.dataclass(frozen=True)
class CameraWork:
    """How a camera moves.

    Attributes:
      start: the `Camera` in frame 0.
      yaw_rate, pitch_rate: radians a frame.
      velocity: [3], metres a frame.
      zoom: growth of the focal length a frame.
      shake: float [frames, 3], yaw, pitch and roll in radians added in each frame.
    """

    start: Camera
    yaw_rate: float
    pitch_rate: float
    velocity: np.ndarray
    zoom: float
    shake: np.ndarray

    def camera(self, frame):
        """The `Camera` in a frame."""
        yaw, pitch, roll = self.shake[frame]
        turn = parts.yaw(frame * self.yaw_rate + yaw) @ self.start.turn
        turn = turn @ parts.pitch(frame * self.pitch_rate + pitch) @ parts.roll(roll)
        return dataclasses.replace(
            self.start,
            position=self.start.position + frame * self.velocity,
            turn=turn,
            focal=self.start.focal * (1 + self.zoom) ** frame,
        )


def draw_camera_work(random, start, frames):
    """Pans, travels, zooms and shakes, each in some of the videos and seldom all."""
    pixel = 1 / start.focal
    pan = random.random() < 0.5
    yaw_rate = pan * random.choice([-1, 1]) * random.uniform(0.4, 2.0) * pixel
    pitch_rate = pan * random.uniform(-0.3, 0.3) * pixel
    velocity = np.zeros(3)
    if random.random() < 0.45:
        velocity = random.uniform((-0.008, -0.002, -0.004), (0.008, 0.002, 0.012))
    zoom = random.uniform(-0.004, 0.006) if random.random() < 0.3 else 0.0
    # Long videos go no further than short ones: the view stays on the room.
    slower = min(1.0, _FULL_SPEED_FRAMES / frames)
    yaw_rate, pitch_rate, velocity, zoom = (
        slower * one for one in (yaw_rate, pitch_rate, velocity, zoom)
    )
    shake = np.zeros((frames, 3))
    if random.random() < 0.5:
        jumps = random.normal(0, 1, (frames + 4, 3)) * pixel * (1.0, 1.0, 0.5)
        weights = np.array([1, 2, 3, 2, 1]) / 9
        shake = np.stack(
            [np.convolve(line, weights, "valid") for line in jumps.T], axis=1
        )
    return CameraWork(start, yaw_rate, pitch_rate, velocity, zoom, shake)


def film_scene(random, classes, height, width, frames):
    """A room with one to three moving objects and a few resting ones.

    Returns:
      (`Scene`, `CameraWork`).
    """
    movers = [one for one in objects.CLASSES[:classes] if one.moves]
    resting = [one for one in objects.CLASSES[:classes] if not one.moves]
    moving = []
    while not moving:
        room, fittings = staging.draw_room(random)
        start = shots.level_camera(random, height, width)
        work = draw_camera_work(random, start, frames)
        middle = work.camera(frames // 2)
        for kind in random.choice(movers, size=int(random.integers(1, 4))):
            thing = _moving(random, kind, moving, room, middle, frames)
            moving += [thing] if thing is not None else []
    things = fittings + moving
    blocked = [one for thing in things for one in _along_way(thing, frames)]
    for kind in random.choice(resting, size=int(random.integers(2, 5))):
        thing = staging.draw_thing(random, kind)
        thing = staging.place_among(
            random,
            thing,
            blocked,
            room,
            lambda: shots.place_in_view(random, middle, room),
        )
        if thing is not None:
            things.append(thing)
            blocked.append(thing)
    lights, ambient = staging.draw_lights(random, room)
    return Scene(room, tuple(things), lights, ambient), work


def _moving(random, kind, things, room, camera, frames):
    """An object with a free way through the view, or None."""
    blocked = [one for thing in things for one in _along_way(thing, frames)]
    for _ in range(_TRIES):
        x, z = shots.place_in_view(random, camera, room, _FARTHEST)
        depth = max(1.0, z - camera.position[2])
        pixels = random.uniform(*_SPEEDS) * min(1.0, _FULL_SPEED_FRAMES / frames)
        speed = pixels * depth / camera.focal
        # Mostly across the view; else to or fro.
        heading = random.choice([-1, 1]) * (np.pi / 2 + random.normal(0, 0.4))
        velocity = speed * np.array([np.sin(heading), 0.0, np.cos(heading)])
        thing = staging.draw_thing(random, kind, yaw=heading)
        motion = Motion(
            velocity,
            rolls=kind.rolls,
            hop=0.0 if kind.rolls or random.random() < 0.6 else 0.12 * thing.size,
            sway=0.0 if kind.rolls else random.uniform(0, 0.12),
            period=random.uniform(8, 16),
            middle=frames / 2,
        )
        thing = dataclasses.replace(staging.moved_to(thing, x, z), motion=motion)
        way = _along_way(thing, frames)
        if all(
            one.position[2] - one.radius > 0.8
            and staging.is_free(
                one.position[0], one.position[2], one.radius, blocked, room
            )
            for one in way
        ):
            return thing
    return None


def _along_way(thing, frames):
    """The thing at a few places of its way, motionless."""
    if thing.motion is None:
        return [thing]
    return [
        staging.moved_to(thing, position[0], position[2])
        for position in (
            thing.position + (time - thing.motion.middle) * thing.motion.velocity
            for time in np.linspace(0, frames, 7)
        )
    ]


def moving_mask(scene, rendering):
    """Where what is seen moves on its own: uint8 [H, W] of 0 and 1.

    A thing moves when its pose changes from a frame to the next; its shadow, and what
    only the camera moves in the image, do not.
    """
    moves = [thing.motion is not None for thing in scene.things] + [False]
    return np.array(moves, np.uint8)[rendering.thing]
