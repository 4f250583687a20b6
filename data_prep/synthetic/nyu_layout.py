"""NYU v2's labelled set: a MATLAB 7.3 file of frames with depth, and the splits."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.random import Generator

from data_prep.synthetic import renderer, still_scenes
from data_prep.synthetic.arrays import Bool, Float32, Floats, UInt8
from data_prep.synthetic.layout import Job, Layout
from data_prep.synthetic.object_classes import ObjectClass
from data_prep.synthetic.options import Options
from data_prep.synthetic.renderer import Rendering

_FOLDER = "nyu"
_HEIGHT, _WIDTH = 240, 320
_NEAREST, _FARTHEST = 0.7, 10.0
_FRAMES_PER_ROOM = 4
_ROOM_TYPES = ("bedroom", "kitchen", "living_room", "office", "study")
# Rooms of seven whose frames are in the test split.
_TEST_ROOMS = (2, 5)
# The depth in metres beyond which a Kinect measures nothing.
_RANGE = 7.0
# Distance between a Kinect's projector and its camera in metres.
_BASELINE = 0.075
_PARTS = "parts"


class NyuLayout(Layout):
    """nyu_depth_v2_labeled.mat and splits.mat. Keys: (room, frames), a job per room."""

    name = "nyu"

    def folders(self, options: Options) -> list[str]:
        return [os.path.join(_FOLDER, _PARTS)] if options.depth_images else []

    def jobs(self, options: Options) -> list[Job]:
        total = options.depth_images
        step = max(1, min(_FRAMES_PER_ROOM, total // 4))
        return [
            Job(self.name, (room, min(step, total - first)), min(step, total - first))
            for room, first in enumerate(range(0, total, step))
        ]

    def make(self, folder: str, options: Options, key: tuple[int, ...]) -> None:
        """Writes the frames of a room to a file, which `finish` collects."""
        room, frames = key
        random = np.random.default_rng([options.seed, 3, room])
        images, depths, raw = zip(*draw_frames(random, options.kinds, frames))
        path = _part(pathlib.Path(folder, _FOLDER), room)
        np.savez(path, images=images, depths=depths, raw=raw)

    def finish(self, folder: str, options: Options) -> None:
        """Collects the frames into the .mat files and removes the jobs' files."""
        if not options.depth_images:
            return
        base = pathlib.Path(folder, _FOLDER)
        _collect(base, [job.key for job in self.jobs(options)])


def draw_frames(
    random: Generator, kinds: Sequence[ObjectClass], frames: int
) -> list[tuple[UInt8, Float32, Float32]]:
    """Draws a room and renders it from several places.

    Args:
      random: generator.
      kinds: classes of the objects.
      frames: number of images.

    Returns:
      (image uint8 [H, W, 3], depth float32 [H, W], sensed depth float32 [H, W]) of
      each frame. Depth is in metres; sensed depth is 0 where the sensor failed.
    """
    count = int(random.integers(3, 9))
    scene, camera = still_scenes.room_scene(random, kinds, _HEIGHT, _WIDTH, count)
    drawn: list[tuple[UInt8, Float32, Float32]] = []
    while len(drawn) < frames:
        rendering = renderer.render(scene, camera)
        depth = rendering.depth
        if depth.min() >= _NEAREST and depth.max() <= _FARTHEST:
            image = renderer.photograph(rendering.image, random, 2.0)
            drawn.append((image, depth, sense(rendering, random)))
        camera = still_scenes.level_camera(random, _HEIGHT, _WIDTH)
    return drawn


def sense(rendering: Rendering, random: Generator) -> Float32:
    """Simulates a Kinect: returns the depth that it would measure.

    The projector is beside the camera, so the background to the left of a near object
    gets no light. The sensor measures nothing beyond its range, often fails on shiny
    surfaces, and has an error that grows with the square of the depth.

    Returns:
      float32 [H, W], metres; 0 where the sensor measures nothing.
    """
    depth = rendering.depth
    error = 0.0012 + 0.0019 * (depth - 0.4) ** 2
    sensed = depth + error * random.standard_normal(depth.shape, np.float32)
    holes = depth > _RANGE
    holes |= _shadowed(depth)
    fine = random.standard_normal(depth.shape, np.float32)
    speckle = np.asarray(cv2.GaussianBlur(fine, (0, 0), 2), np.float32)
    holes |= speckle / speckle.std() + 3 * rendering.gloss > 2.6
    holes[:4] = holes[-4:] = True
    holes[:, :6] = holes[:, -6:] = True
    return np.where(holes, 0, sensed).astype(np.float32)


def _shadowed(depth: Float32) -> Bool:
    """Pixels that the projector's light does not reach: bool [H, W]."""
    disparity = _BASELINE * depth.shape[1] / depth
    # A pixel is in shadow if the disparity of a pixel to the right is larger by more
    # than the distance between the two.
    shadowed = np.zeros(depth.shape, bool)
    for step in range(1, 16):
        shadowed[:, :-step] |= disparity[:, step:] - disparity[:, :-step] > step
    edges = cv2.dilate(depth, np.ones((3, 3))) - cv2.erode(depth, np.ones((3, 3)))
    return shadowed | (edges > 0.1 * depth)


def _collect(base: pathlib.Path, keys: list[tuple[int, ...]]) -> None:
    """Writes the .mat files from the files of the rooms, which it removes."""
    from data_prep.synthetic import matlab

    names, tests, files = [], [], []
    for room, frames in keys:
        room_type = _ROOM_TYPES[room % len(_ROOM_TYPES)]
        name = f"{room_type}_{room // len(_ROOM_TYPES) + 1:04d}"
        names += [name] * frames
        tests += [room % 7 in _TEST_ROOMS] * frames
        files += [f"{name}/r-{frame:05d}.ppm" for frame in range(frames)]
    rooms, count = [room for room, _ in keys], len(names)
    with matlab.Writer(base / "nyu_depth_v2_labeled.mat") as file:
        images = _stored(base, rooms, "images")
        file.array("images", "uint8", (count, 3, _WIDTH, _HEIGHT), images)
        for name, key in (("depths", "depths"), ("rawDepths", "raw")):
            blocks = _stored(base, rooms, key)
            file.array(name, "float32", (count, _WIDTH, _HEIGHT), blocks)
        file.texts("scenes", names)
        file.texts("rawRgbFilenames", files)
    numbers, in_test = np.arange(1, count + 1), np.array(tests)
    matlab.write_splits(
        base / "splits.mat", trainNdxs=numbers[~in_test], testNdxs=numbers[in_test]
    )
    for room in rooms:
        os.remove(_part(base, room))
    os.rmdir(base / _PARTS)


def _part(base: pathlib.Path, room: int) -> pathlib.Path:
    return base / _PARTS / f"{room:05d}.npz"


def _stored(base: pathlib.Path, rooms: list[int], key: str) -> Iterator[UInt8 | Floats]:
    """Reads blocks of frames in MATLAB's order of axes, [N, (3,) W, H]."""
    for room in rooms:
        with np.load(_part(base, room)) as arrays:
            frames = arrays[key]
        yield frames.transpose((0, *range(frames.ndim - 1, 0, -1)))
