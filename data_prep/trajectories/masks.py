"""Makes foreground masks of frames from the tracks that start in them.

The paper describes the masks in section 2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import motion, tracking, validity
from data_prep.trajectories.flow import Gray
from data_prep.trajectories.motion import PairMotion

# Pixels per side of a cell of the mask.
CELL = 8
BACKGROUND, FOREGROUND, IGNORE = 0, 1, 255
# A track counts as moving only if the mean of its first stabilised steps is longer than
# this many pixels. A track that starts to move later says nothing about the frame:
# usually an object has run over its point.
PROMPT_STEPS = 3
PROMPT_PIXELS = 0.75
# A connected piece of fewer foreground cells is usually noise, such as points that slide
# along an edge. Eight cells are 0.7% of a 240x320 frame.
MIN_PIECE = 8
# Share of the tracked cells around a piece without tracks that must have the same label.
AGREEMENT = 0.75

Mask = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class LabelledFrame:
    """A frame with its motion mask.

    Attributes:
      index: index of the frame in the video, from 0.
      image: the frame, uint8 [H, W, 3] BGR.
      mask: uint8 [H / 8, W / 8]: 0 background, 1 foreground, 255 ignore.
    """

    index: int
    image: npt.NDArray[np.uint8]
    mask: Mask


def label_frames(
    frames: Iterable[tuple[int, npt.NDArray[np.uint8]]],
    wanted: Iterable[int],
    length: int = 10,
    mask_people: bool = False,
) -> Iterator[LabelledFrame]:
    """Makes motion masks of chosen frames of a video.

    Args:
      frames: (index, uint8 [H, W, 3] BGR) of each frame, in order. Frames that are not
        tracked may be missing: only the wanted frames and the `length` frames after each
        of them are needed.
      wanted: indices of the frames to label.
      length: number of steps of a track.
      mask_people: whether people are excluded from the camera estimate.

    Yields:
      a `LabelledFrame` for each wanted frame, in order. Frames are omitted if the camera
      motion is unknown anywhere in the `length` frames that follow, as at a cut.
    """
    wanted = frozenset(wanted)
    measure = motion.MotionMeter(mask_people)
    windows: list[_Window] = []
    for index, image in frames:
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if not windows:
            measure.reset()
        step = measure(gray) if windows or index in wanted else None
        if step is None or step.camera is None:
            windows = []
        else:
            for window in windows:
                window.advance(step, index)
        if windows and windows[0].done:
            yield windows.pop(0).label()
        if index in wanted:
            windows.append(_Window(index, image, gray, length))


class _Window:
    """A frame that is to be labelled, and its tracks in the frames that follow."""

    def __init__(
        self, index: int, image: npt.NDArray[np.uint8], gray: Gray, length: int
    ) -> None:
        self._index = index
        self._image = image
        self._steps_left = length
        self._tracks = tracking.Tracks.empty(length)
        self._tracker = tracking.DenseTracker(gray.shape, length)
        self._tracker.sample(gray)

    @property
    def done(self) -> bool:
        """Whether the tracks have all their steps."""
        return self._steps_left == 0

    def advance(self, step: PairMotion, index: int) -> None:
        """Moves the tracks into the frame of index `index`."""
        self._steps_left -= 1
        self._tracks = self._tracker.advance(step, index)

    def label(self) -> LabelledFrame:
        mask = mask_from_tracks(self._tracks, self._image.shape)
        return LabelledFrame(self._index, self._image, mask)


def mask_from_tracks(tracks: tracking.Tracks, shape: Sequence[int]) -> Mask:
    """Labels cells of 8x8 pixels by the tracks that start in them.

    A cell is foreground if at least half of its tracks move on their own, and background
    if more than half are camera motion. Erratic tracks do not count as either. Tracks
    that are static in the image do count: a point that rests under a resting camera is
    background, and a point that rests under a moving camera is not.

    Args:
      tracks: the tracks that start in the frame.
      shape: (H, W, ...) of the frame.

    Returns:
      uint8 [H / 8, W / 8]: 0 background, 1 foreground, 255 ignore.
    """
    tracks = tracks[~validity.is_erratic(tracks.points)]
    still = validity.is_camera_motion(tracks.steps)
    moving = ~still & _is_prompt(tracks.steps)
    height, width = shape[0] // CELL, shape[1] // CELL
    cells = np.rint(tracks.points[:, 0]).astype(np.int64) // CELL
    columns, rows = np.minimum(cells, [width - 1, height - 1]).T
    tracked, background, foreground = np.zeros([3, height, width], np.int64)
    np.add.at(tracked, (rows, columns), 1)
    np.add.at(background, (rows, columns), still)
    np.add.at(foreground, (rows, columns), moving)
    mask = np.full([height, width], IGNORE, np.uint8)
    mask[2 * background > tracked] = BACKGROUND
    mask[(2 * foreground >= tracked) & (tracked > 0)] = FOREGROUND
    return _without_tracks_filled(_without_specks(mask), tracked == 0)


def _is_prompt(steps: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether tracks move from their start.

    Args:
      steps: float32 [N, L, 2], stabilised displacements in pixels.

    Returns:
      bool [N].
    """
    mean = steps[:, :PROMPT_STEPS].mean(axis=1)
    return np.linalg.norm(mean, axis=1) > PROMPT_PIXELS


def _without_specks(mask: Mask) -> Mask:
    """Marks connected foreground pieces of fewer than `MIN_PIECE` cells as ignored."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(
        np.uint8(mask == FOREGROUND), connectivity=8
    )
    small = np.arange(count)[stats[:, cv2.CC_STAT_AREA] < MIN_PIECE]
    return np.where(np.isin(pieces, small[small > 0]), np.uint8(IGNORE), mask)


def _without_tracks_filled(mask: Mask, untracked: npt.NDArray[np.bool_]) -> Mask:
    """Labels textureless cells by the tracked cells around them.

    If a share of `AGREEMENT` of the tracked cells around a connected piece have the same
    label, the piece's cells whose nearest tracked cell has that label get it too. All
    other cells of the piece are ignored.

    Args:
      mask: uint8 [h, w], the labels of tracked cells.
      untracked: bool [h, w], true in cells without tracks.

    Returns:
      uint8 [h, w].
    """
    if np.all(untracked):
        return mask
    nearest = _nearest_label(mask, untracked)
    filled = mask.copy()
    count, pieces = cv2.connectedComponents(np.uint8(untracked), connectivity=4)
    for piece in range(1, count):
        inside = pieces == piece
        around = cv2.dilate(np.uint8(inside), np.ones([3, 3], np.uint8)) > 0
        neighbors = mask[around & ~untracked]
        for label in (BACKGROUND, FOREGROUND):
            if np.mean(neighbors == label) >= AGREEMENT:
                filled[inside & (nearest == label)] = label
    return filled


def _nearest_label(mask: Mask, untracked: npt.NDArray[np.bool_]) -> Mask:
    """Returns the label of each cell's nearest tracked cell, uint8 [h, w]."""
    _, sources = cv2.distanceTransformWithLabels(
        np.uint8(untracked), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.full(sources.max() + 1, IGNORE, np.uint8)
    labels[sources[~untracked]] = mask[~untracked]
    return labels[sources]
