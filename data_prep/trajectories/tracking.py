"""Samples points densely and tracks them (Wang & Schmid, ICCV 2013, section 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import flow as flow_lib
from data_prep.trajectories.flow import Flow, Gray
from data_prep.trajectories.motion import PairMotion

# Distance in pixels between sampled points, at each scale.
SAMPLING_STEP = 5
# The smaller eigenvalue at a sampled point, as a share of the largest one in the frame,
# must exceed this.
MIN_QUALITY = 0.001


@dataclasses.dataclass(frozen=True)
class Tracks:
    """Tracks of L steps each.

    Attributes:
      points: float32 [N, L + 1, 2], pixels (x, y).
      steps: float32 [N, L, 2], stabilised displacement of each step, in pixels.
      end_frame: int32 [N], index of the frame with a track's last point.
      scale: float32 [N], factor of the spatial scale; 1 for the finest.
    """

    points: npt.NDArray[np.float32]
    steps: npt.NDArray[np.float32]
    end_frame: npt.NDArray[np.int32]
    scale: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, chosen: npt.NDArray[np.bool_]) -> Tracks:
        """Returns the tracks for which `chosen`, bool [N], is true."""
        return Tracks(
            self.points[chosen],
            self.steps[chosen],
            self.end_frame[chosen],
            self.scale[chosen],
        )

    @staticmethod
    def concatenate(parts: Sequence[Tracks], length: int) -> Tracks:
        """Joins `Tracks` of `length` steps each; `parts` may be empty."""
        parts = [Tracks.empty(length), *parts]
        names = [field.name for field in dataclasses.fields(Tracks)]
        return Tracks(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
        )

    @staticmethod
    def empty(length: int) -> Tracks:
        """Returns zero tracks of `length` steps."""
        return Tracks(
            np.zeros([0, length + 1, 2], np.float32),
            np.zeros([0, length, 2], np.float32),
            np.zeros([0], np.int32),
            np.zeros([0], np.float32),
        )


class ScaleTracker:
    """Tracks points at a single spatial scale."""

    def __init__(self, scale: float, length: int) -> None:
        """Creates a tracker without tracks.

        Args:
          scale: factor of the spatial scale.
          length: number of steps of a track, L.
        """
        self._scale = scale
        self._length = length
        self._points = np.zeros([0, length + 1, 2], np.float32)
        self._steps = np.zeros([0, length, 2], np.float32)
        self._age = np.zeros([0], np.int64)

    def sample(self, gray: Gray) -> None:
        """Starts tracks at the grid points that have texture and no track yet.

        Args:
          gray: uint8 [H, W], the full-size frame that all tracks have reached.
        """
        image = flow_lib.shrink(gray, self._scale)
        quality = cv2.cornerMinEigenVal(image, 3)
        half = SAMPLING_STEP // 2
        free = quality[half::SAMPLING_STEP, half::SAMPLING_STEP] > max(
            MIN_QUALITY * quality.max(), np.finfo(np.float32).eps
        )
        columns, rows = flow_lib.nearest_pixels(self._heads(), self._scale, image.shape)
        # Pixels beyond the last whole cell, right and below, belong to that cell.
        rows = np.minimum(rows // SAMPLING_STEP, free.shape[0] - 1)
        columns = np.minimum(columns // SAMPLING_STEP, free.shape[1] - 1)
        free[rows, columns] = False
        rows, columns = np.nonzero(free)
        grid = np.stack([columns, rows], axis=1) * SAMPLING_STEP + half
        self._start((grid + 0.5) * self._scale - 0.5)

    def advance(self, flow: Flow, stabilised: Flow, shape: tuple[int, int]) -> None:
        """Moves each track by a step, and drops the tracks that leave the frame.

        Args:
          flow, stabilised: float32 [h, w, 2], this scale's levels of a `PairMotion`.
          shape: (H, W) of the full-size frame.
        """
        heads = self._heads()
        moved = heads + flow_lib.flow_at(flow, heads, self._scale)
        every = np.arange(len(heads))
        self._steps[every, self._age] = flow_lib.flow_at(stabilised, heads, self._scale)
        self._age += 1
        self._points[every, self._age] = moved
        limits = np.array([shape[1], shape[0]]) - 1
        self._keep(np.all((moved >= 0) & (moved <= limits), axis=1))

    def pop_finished(self, frame: int) -> Tracks:
        """Removes and returns the tracks that have all their steps.

        Args:
          frame: index of the frame that all tracks have reached.
        """
        done = self._age == self._length
        count = np.count_nonzero(done)
        finished = Tracks(
            self._points[done],
            self._steps[done],
            np.full([count], frame, np.int32),
            np.full([count], self._scale, np.float32),
        )
        self._keep(~done)
        return finished

    def _heads(self) -> npt.NDArray[np.float32]:
        """Returns the current point of each track, float32 [n, 2]."""
        return self._points[np.arange(len(self._age)), self._age]

    def _start(self, points: npt.NDArray[np.float64]) -> None:
        """Starts a track at each point, float64 [n, 2]."""
        count = len(points)
        fresh = np.zeros([count, self._length + 1, 2], np.float32)
        fresh[:, 0] = points
        self._points = np.concatenate([self._points, fresh])
        self._steps = np.concatenate(
            [self._steps, np.zeros([count, self._length, 2], np.float32)]
        )
        self._age = np.concatenate([self._age, np.zeros([count], np.int64)])

    def _keep(self, chosen: npt.NDArray[np.bool_]) -> None:
        self._points = self._points[chosen]
        self._steps = self._steps[chosen]
        self._age = self._age[chosen]


class DenseTracker:
    """Tracks dense points at all spatial scales, frame by frame."""

    def __init__(self, shape: Sequence[int], length: int) -> None:
        """Creates a tracker without tracks.

        Args:
          shape: (H, W, ...) of the frames.
          length: number of steps of a track, L.
        """
        self._shape = (shape[0], shape[1])
        self._length = length
        self._trackers = [
            ScaleTracker(scale, length)
            for scale in flow_lib.spatial_scales(*self._shape)
        ]

    def sample(self, gray: Gray) -> None:
        """Starts tracks in the current frame, uint8 [H, W]."""
        for tracker in self._trackers:
            tracker.sample(gray)

    def advance(self, motion: PairMotion, frame: int) -> Tracks:
        """Moves all tracks into the next frame.

        Args:
          motion: the motion from the current frame to the next.
          frame: index of the next frame.

        Returns:
          the tracks that have all their steps, and so end in that frame.
        """
        finished = []
        for level, tracker in enumerate(self._trackers):
            tracker.advance(motion.flows[level], motion.stabilised[level], self._shape)
            finished.append(tracker.pop_finished(frame))
        return Tracks.concatenate(finished, self._length)
