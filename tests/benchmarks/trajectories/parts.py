"""Times the parts of Improved Dense Trajectories."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np

from data_prep.trajectories import camera, flow, masks, tracking
from tests.benchmarks.motion_masks import suites
from tests.benchmarks.motion_masks.scoring import LENGTH
from tests.benchmarks.table import Table
from tests.benchmarks.trajectories.stopwatch import stopwatch
from tests.data_prep.trajectories import scenes

_ROUNDS = 3
_PARTS: Mapping[str, Sequence[tuple[ModuleType | type, str]]] = {
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


def print_table() -> None:
    """Prints the medians over all windows, and each part's ratio to the flow."""
    milliseconds = _time_windows()
    table = Table("part", "ms per frame pair", "of the two flows")
    for part, values in milliseconds.items():
        ratio = np.median(np.divide(values, milliseconds["flow"]))
        table.add(part, f"{np.median(values):.1f}", f"{ratio:.2f}")


def _time_windows() -> dict[str, list[float]]:
    """Milliseconds per frame pair in each window, by part; "whole" is all of it."""
    milliseconds = collections.defaultdict(list)
    videos = [scenes.render(scene, LENGTH + 1)[0] for scene in suites.moving_objects()]
    for images in videos * _ROUNDS:
        with stopwatch(_PARTS) as seconds:
            start = time.thread_time()
            list(masks.label_frames(enumerate(images), [0], LENGTH))
            seconds["whole"] = time.thread_time() - start
        for part in (*_PARTS, "whole"):
            milliseconds[part].append(1e3 * seconds[part] / LENGTH)
    return milliseconds
