"""Compares ways to match features: time, error of the camera, quality of the masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from unittest import mock

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import camera, motion
from tests.benchmarks.motion_masks import scoring, suites
from tests.benchmarks.table import Table
from tests.benchmarks.trajectories import feature_matchers
from tests.benchmarks.trajectories.stopwatch import stopwatch
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Scene

_CORNERS = np.array([[[0, 0], [319, 0], [0, 239], [319, 239]]], np.float64)
# Errors in pixels are clipped here: it does not matter by how much a camera is missed.
_WORST_ERROR = 5.0
_MISSED = 2.0


@dataclasses.dataclass(frozen=True)
class CameraErrors:
    """The errors of a matcher's camera over some frame pairs.

    Attributes:
      mean: mean error at the frame's corners in pixels, clipped at 5.
      missed: share of the pairs with an error over 2 pixels.
      milliseconds: median time to match a pair.
    """

    mean: float
    missed: float
    milliseconds: float


def print_table() -> None:
    """Prints a row for each matcher."""
    table = Table(
        "matcher",
        "ms a pair",
        "camera's error (moving)",
        "(large)",
        "(fast)",
        "IoU (moving)",
        "(large)",
        "(slow)",
    )
    for name, matcher in feature_matchers.ALL.items():
        with mock.patch.object(camera, "matched_keypoints", matcher):
            errors = [
                _camera_errors(suites.moving_objects(), 6),
                _camera_errors(suites.large_objects(), 6),
                _camera_errors(suites.fast_cameras(), 3),
            ]
            scores = [
                scoring.mean_of_suite(suites.moving_objects()),
                scoring.mean_of_suite(suites.large_objects()),
                scoring.mean_of_suite(suites.slow_objects()),
            ]
        table.add(
            name,
            f"{errors[0].milliseconds:.1f}",
            *(f"{error.mean:.2f} ({error.missed:.0%} missed)" for error in errors),
            *(f"{score.iou:.3f}" for score in scores),
        )


def _camera_errors(suite: Sequence[Scene], frames: int) -> CameraErrors:
    """Measures all neighbouring frames of some scenes."""
    errors, times = [], []
    for scene in suite:
        images, _ = scenes.render(scene, frames)
        path = scene.camera.matrices(frames, np.random.default_rng(scene.seed))
        grays = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images]
        with stopwatch({"match": [(camera, "matched_keypoints")]}) as seconds:
            for t, (first, second) in enumerate(zip(grays, grays[1:])):
                estimate = motion.measure_pair(first, second).camera
                expected = path[t + 1] @ np.linalg.inv(path[t])
                errors.append(_corner_error(estimate, expected))
        times.append(1e3 * seconds["match"] / (frames - 1))
    return CameraErrors(
        mean=float(np.minimum(errors, _WORST_ERROR).mean()),
        missed=float(np.mean(np.array(errors) > _MISSED)),
        milliseconds=float(np.median(times)),
    )


def _corner_error(
    estimate: npt.NDArray[np.float64] | None, expected: npt.NDArray[np.float64]
) -> float:
    """Mean error in pixels at the corners; an unknown camera counts as resting."""
    matrices = (np.eye(3) if estimate is None else estimate), expected
    first, second = (cv2.perspectiveTransform(_CORNERS, x) for x in matrices)
    return float(np.linalg.norm(first - second, axis=2).mean())
