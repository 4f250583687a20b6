"""Times the parts of Improved Dense Trajectories, and compares ways to match features.

    python -m tests.benchmarks.trajectories [parts] [matchers] [workers]

prints the tables of docs/trajectories.md, in Markdown. Times are of constructed videos of
320x240 on one thread, with people masking off: CPU time of that thread, as a median over
windows of ten frame pairs. Shares and ratios compare times taken in the same window.
"""

import collections
import contextlib
import dataclasses
import pathlib
import subprocess
import sys
import tempfile
import time
from unittest import mock

import cv2
import numpy as np

from data_prep.trajectories import camera, flow, masks, motion, tracking
from tests.benchmarks import feature_matchers, motion_masks
from tests.data_prep.trajectories import scenes

ROUNDS = 3
# Functions whose time makes up a part; none of them calls another.
PARTS = {
    "flow": [(flow, "dense_flow")],
    "features": [(camera, "find_matches")],
    "homography": [(camera, "fit"), (camera, "stabilise")],
    "tracking": [
        (flow, "flow_pyramid"),
        (tracking.DenseTracker, "sample"),
        (tracking.DenseTracker, "advance"),
    ],
    "mask": [(masks, "mask_from_tracks")],
}
CORNERS = np.float64([[[0, 0], [319, 0], [0, 239], [319, 239]]])
# Pixels; a camera that was missed altogether is not told from one missed by far.
WORST_ERROR = 5.0
CLIPS = 96


@contextlib.contextmanager
def stopwatch(parts):
    """Adds the CPU seconds spent in functions up, per part, while it is entered.

    Args:
      parts: {part: [(owner, name of its function), ...]}.

    Yields:
      Counter of seconds.
    """
    seconds = collections.Counter()

    def timed(part, function):
        def call(*args, **kwargs):
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[part] += time.thread_time() - start

        return call

    with contextlib.ExitStack() as stack:
        for part, functions in parts.items():
            for owner, name in functions:
                replacement = timed(part, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, replacement))
        yield seconds


def time_parts():
    """{part: [ms a frame pair in each window]}, with "whole" for all of it."""
    found = collections.defaultdict(list)
    videos = [
        scenes.render(s, motion_masks.LENGTH + 1)[0]
        for s in motion_masks.moving_objects()
    ]
    for images in videos * ROUNDS:
        with stopwatch(PARTS) as seconds:
            start = time.thread_time()
            list(masks.label_frames(enumerate(images), [0], motion_masks.LENGTH))
            seconds["whole"] = time.thread_time() - start
        for part in (*PARTS, "whole"):
            found[part].append(1e3 * seconds[part] / motion_masks.LENGTH)
    return found


def print_parts():
    found = time_parts()
    print("| part | ms a frame pair | of the two flows |\n|---|---|---|")
    for part, values in found.items():
        ratio = np.median(np.divide(values, found["flow"]))
        print(f"| {part} | {np.median(values):.1f} | {ratio:.2f} |")


@dataclasses.dataclass(frozen=True)
class Errors:
    """What a matcher makes of the camera in some frame pairs.

    Attributes:
      mean: pixels at the frame's corners, each clipped at `WORST_ERROR`.
      missed: share of the pairs with over two pixels.
      milliseconds: median time of matching a pair.
    """

    mean: float
    missed: float
    milliseconds: float


def fast_cameras():
    """Moving objects under a camera that pans by 12 to 25 pixels a frame."""
    rng = np.random.default_rng(2)
    found = []
    for scene in motion_masks.moving_objects():
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(12, 25)
        pan = speed * np.cos(angle), speed * np.sin(angle)
        path = dataclasses.replace(scene.camera, pan=pan)
        found.append(dataclasses.replace(scene, camera=path))
    return found


def camera_errors(suite, frames):
    """`Errors` over all neighbouring frames of the scenes of `suite`."""
    errors, times = [], []
    for scene in suite:
        images, _ = scenes.render(scene, frames)
        path = scene.camera.matrices(frames, np.random.default_rng(scene.seed))
        grays = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images]
        with stopwatch({"match": [(camera, "matched_keypoints")]}) as seconds:
            for t, (first, second) in enumerate(zip(grays, grays[1:])):
                expected = path[t + 1] @ np.linalg.inv(path[t])
                errors.append(_corner_error(_camera(first, second), expected))
        times.append(1e3 * seconds["match"] / (frames - 1))
    errors = np.array(errors)
    return Errors(
        mean=np.minimum(errors, WORST_ERROR).mean(),
        missed=np.mean(errors > 2),
        milliseconds=np.median(times),
    )


def _camera(first, second):
    found = motion.measure_pair(first, second).camera
    return np.eye(3) if found is None else found


def _corner_error(found, expected):
    moved = [cv2.perspectiveTransform(CORNERS, x) for x in (found, expected)]
    return np.linalg.norm(moved[0] - moved[1], axis=2).mean()


def print_matchers():
    print(
        "| matcher | ms a pair | camera's error (moving) | (large) | (fast) | IoU "
        "(moving) | (large) | (slow) |\n|---|---|---|---|---|---|---|---|"
    )
    for name, matcher in feature_matchers.ALL.items():
        with mock.patch.object(camera, "matched_keypoints", matcher):
            errors = [
                camera_errors(motion_masks.moving_objects(), 6),
                camera_errors(motion_masks.large_objects(), 6),
                camera_errors(fast_cameras(), 3),
            ]
            ious = [
                motion_masks.means(suite()).ours
                for suite in (
                    *(motion_masks.moving_objects, motion_masks.large_objects),
                    motion_masks.slow_objects,
                )
            ]
        columns = [f"{errors[0].milliseconds:.1f}"]
        columns += [f"{e.mean:.2f} ({e.missed:.0%} missed)" for e in errors]
        columns += [f"{iou:.3f}" for iou in ious]
        print(f"| {name} | {' | '.join(columns)} |", flush=True)


def print_workers():
    """Wall time of the same build in one process and in two, in turn."""
    seconds = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        _write_clips(folder / "clips")
        for turn in range(ROUNDS):
            for workers in seconds:
                start = time.monotonic()
                _build(folder / "clips", folder / f"{turn}-{workers}", workers)
                seconds[workers].append(time.monotonic() - start)
    ratios = np.divide(seconds[1], seconds[2])
    print(
        f"{CLIPS} clips: {np.median(seconds[1]):.0f} s with one worker, "
        f"{np.median(seconds[2]):.0f} s with two: {np.median(ratios):.2f} times as fast"
        f" (in turn: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )


def _write_clips(folder):
    folder.mkdir()
    suite = motion_masks.moving_objects()
    for index in range(CLIPS):
        images, _ = scenes.render(suite[index % len(suite)], motion_masks.LENGTH + 1)
        # There and back again: two windows.
        images = np.concatenate([images, images[-2::-1]])
        scenes.write(folder / f"{index}.avi", images)


def _build(clips, output, workers):
    flags = {
        "input": clips,
        "output": output,
        "workers": workers,
        "frames_per_video": 2,
        "validation_fraction": 0.0,
        "max_foreground": 1.0,
    }
    flags = [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run(
        [sys.executable, "-m", "data_prep.videos", *flags],
        check=True,
        capture_output=True,
    )


TABLES = {
    "parts": print_parts,
    "matchers": print_matchers,
    "workers": print_workers,
}


def main(argv):
    cv2.setNumThreads(1)
    for name in argv or TABLES:
        TABLES[name]()
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
