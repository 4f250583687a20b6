"""NYU v2's labelled set: a MATLAB 7.3 file of frames with depth, and its splits."""

import os
import pathlib

import cv2
import numpy as np

from data_prep.synthetic import renderer, shots

FOLDER = "nyu"
HEIGHT, WIDTH = 240, 320
NEAREST, FARTHEST = 0.7, 10.0
_FRAMES_PER_SCENE = 4
_PLACES = ("bedroom", "kitchen", "living_room", "office", "study")
# Scenes of seven that are in the test split: frames of a scene are on one side.
_TEST = (2, 5)
# How a Kinect fails: beyond its range, and on shiny surfaces.
_RANGE = 7.0
_PARTS = "parts"


def folders(options):
    """Folders that `make` writes into."""
    return [os.path.join(FOLDER, _PARTS)] if options.depth_images else []


def jobs(options):
    """The scenes to make: ((index, frames), pictures in it)."""
    total = options.depth_images
    each = max(1, min(_FRAMES_PER_SCENE, total // 4))
    return [
        ((index, min(each, total - first)), min(each, total - first))
        for index, first in enumerate(range(0, total, each))
    ]


def is_test(scene):
    """Whether a scene's frames are in the test split."""
    return scene % 7 in _TEST


def make(folder, options, job):
    """Writes a scene's frames for `finish` to put together."""
    index, frames = job
    random = np.random.default_rng([options.seed, 3, index])
    images, depths, raw = zip(*draw_scene(random, options.classes, frames))
    path = os.path.join(folder, FOLDER, _PARTS, f"{index:05d}.npz")
    np.savez(path, images=images, depths=depths, raw=raw)


def draw_scene(random, classes, frames):
    """Frames of one room from several places.

    Returns:
      list of (image uint8 [H, W, 3], depth float32 [H, W], raw depth float32 [H, W]);
      depth in metres, 0 where the sensor failed in the raw one.
    """
    count = int(random.integers(3, 9))
    scene, camera = shots.room_scene(random, classes, HEIGHT, WIDTH, count)
    taken = []
    while len(taken) < frames:
        rendering = renderer.render(scene, camera)
        depth = rendering.depth
        if depth.min() >= NEAREST and depth.max() <= FARTHEST:
            image = renderer.photograph(rendering.image, random, 2.0)
            taken.append((image, depth, sense(rendering, random)))
        camera = shots.level_camera(random, HEIGHT, WIDTH)
    return taken


def sense(rendering, random):
    """The depth that a Kinect would give: float32 [H, W], 0 where it gives none.

    Its projector stands beside its camera, so the left side of near things hides what
    is behind; it sees nothing far, little on shiny things, and errs by the square of
    the distance.
    """
    depth = rendering.depth
    error = 0.0012 + 0.0019 * (depth - 0.4) ** 2
    sensed = depth + error * random.standard_normal(depth.shape, np.float32)
    holes = depth > _RANGE
    holes |= _shadowed(depth)
    speckle = cv2.GaussianBlur(random.standard_normal(depth.shape, np.float32), None, 2)
    speckle /= speckle.std()
    holes |= speckle + 3 * rendering.gloss > 2.6
    holes[:4] = holes[-4:] = True
    holes[:, :6] = holes[:, -6:] = True
    return np.where(holes, 0, sensed).astype(np.float32)


def _shadowed(depth):
    """Pixels that the projector's light does not reach: bool [H, W]."""
    disparity = 0.075 * depth.shape[1] / depth
    # A pixel is in shadow when one to its right is nearer by more than their distance.
    shadowed = np.zeros(depth.shape, bool)
    for step in range(1, 16):
        shadowed[:, :-step] |= disparity[:, step:] - disparity[:, :-step] > step
    edges = cv2.dilate(depth, np.ones((3, 3))) - cv2.erode(depth, np.ones((3, 3)))
    return shadowed | (edges > 0.1 * depth)


def finish(folder, options):
    """Writes nyu_depth_v2_labeled.mat and splits.mat, and removes the parts."""
    if not options.depth_images:
        return
    from data_prep.synthetic import matlab

    base = pathlib.Path(folder, FOLDER)
    scenes = [job for job, _ in jobs(options)]
    names, tests, files = [], [], []
    for index, frames in scenes:
        place = _PLACES[index % len(_PLACES)]
        scene = f"{place}_{index // len(_PLACES) + 1:04d}"
        names += [scene] * frames
        tests += [is_test(index)] * frames
        files += [f"{scene}/r-{frame:05d}.ppm" for frame in range(frames)]
    labelled = matlab.Writer(base / "nyu_depth_v2_labeled.mat")
    with labelled as file:
        count = len(names)
        file.array("images", "uint8", (count, 3, WIDTH, HEIGHT), _stored(base, scenes))
        for name, key in (("depths", "depths"), ("rawDepths", "raw")):
            blocks = _stored(base, scenes, key)
            file.array(name, "float32", (count, WIDTH, HEIGHT), blocks)
        file.texts("scenes", names)
        file.texts("rawRgbFilenames", files)
    numbers = np.arange(1, count + 1)
    tests = np.array(tests)
    matlab.write_splits(
        base / "splits.mat", trainNdxs=numbers[~tests], testNdxs=numbers[tests]
    )
    for index, _ in scenes:
        os.remove(_part(base, index))
    os.rmdir(base / _PARTS)


def _part(base, index):
    return base / _PARTS / f"{index:05d}.npz"


def _stored(base, scenes, key="images"):
    """Blocks of frames in MATLAB's order, [N, (3,) W, H]."""
    for index, _ in scenes:
        with np.load(_part(base, index)) as arrays:
            frames = arrays[key]
        yield frames.transpose((0, *range(frames.ndim - 1, 0, -1)))
