"""Foreground masks of frames, from the tracks that start in them (paper section 2)."""

import dataclasses

import cv2
import numpy as np

from data_prep.trajectories import motion, tracking, validity

CELL = 8
BACKGROUND, FOREGROUND, IGNORE = 0, 1, 255
# A track that starts to move later than this many steps after the frame says nothing
# about the frame: as a rule an object has run over its point. The threshold is of the
# mean stabilised step.
PROMPT_STEPS = 3
PROMPT_PIXELS = 0.75
# Fewer foreground cells than this in one piece are noise as a rule, such as points
# that slide along an edge. Eight are 0.7% of a frame of 240x320.
MIN_PIECE = 8
# Share of the tracked cells around a piece without tracks that must agree.
AGREEMENT = 0.75


@dataclasses.dataclass(frozen=True)
class LabelledFrame:
    """A frame with its motion mask.

    Attributes:
      index: of the frame in the video, from 0.
      image: uint8 [H, W, 3], as it was given.
      mask: uint8 [H / 8, W / 8]: 0 background, 1 foreground, 255 ignore.
    """

    index: int
    image: np.ndarray
    mask: np.ndarray


def label_frames(frames, wanted, length=10, mask_people=False):
    """Makes motion masks of chosen frames of a video.

    Args:
      frames: iterable of (index, uint8 [H, W, 3] BGR) in order. Frames after which
        no track is under way need not be among them.
      wanted: indices of the frames to label; each needs the `length` frames after it.
      length: steps a track.
      mask_people: keeps people out of the camera's estimate.

    Yields:
      `LabelledFrame`s in order; none for a frame where the camera's motion cannot be
      told over the whole length, as at cuts.
    """
    wanted = frozenset(wanted)
    measure = motion.MotionMeter(mask_people)
    windows = []
    for index, image in frames:
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if not windows:
            measure.reset()
        if windows or index in wanted:
            step = measure(gray)
        if windows and step.camera is None:
            windows = []
        for window in windows:
            window.advance(step, index)
        if windows and windows[0].done:
            yield windows.pop(0).label()
        if index in wanted:
            windows.append(_Window(index, image, gray, length))


class _Window:
    """The tracks of one frame to be labelled."""

    def __init__(self, index, image, gray, length):
        self._index = index
        self._image = image
        self._left = length
        self._tracker = tracking.DenseTracker(gray.shape, length)
        self._tracker.sample(gray)

    @property
    def done(self):
        return self._left == 0

    def advance(self, step, index):
        self._left -= 1
        self._tracks = self._tracker.advance(step, index)

    def label(self):
        mask = mask_from_tracks(self._tracks, self._image.shape)
        return LabelledFrame(self._index, self._image, mask)


def mask_from_tracks(tracks, shape):
    """Labels cells of 8x8 pixels by the tracks that start in them.

    A cell is foreground when at least half of its tracks are, background when more
    than half are camera motion. Erratic and jumping tracks do not count. Tracks that
    are static in the image do, as a point that rests under a resting camera is
    background, and one that rests under a moving camera is not.

    Args:
      tracks: `Tracks` that all start in the frame.
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


def _is_prompt(steps):
    """bool [N]: the track is under way from the start, steps float32 [N, L, 2]."""
    mean = steps[:, :PROMPT_STEPS].mean(axis=1)
    return np.linalg.norm(mean, axis=1) > PROMPT_PIXELS


def _without_specks(mask):
    """Ignores foreground pieces of fewer than `MIN_PIECE` cells."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(
        np.uint8(mask == FOREGROUND), connectivity=8
    )
    small = np.arange(count)[stats[:, cv2.CC_STAT_AREA] < MIN_PIECE]
    return np.where(np.isin(pieces, small[small > 0]), np.uint8(IGNORE), mask)


def _without_tracks_filled(mask, untracked):
    """Labels textureless cells by the tracked cells around them.

    Where `AGREEMENT` of the tracked cells around a connected piece have a label, those
    of its cells whose nearest tracked cell has it get it too. All others are ignored.
    """
    if np.all(untracked):
        return mask
    nearest = _nearest_label(mask, untracked)
    filled = mask.copy()
    count, pieces = cv2.connectedComponents(np.uint8(untracked), connectivity=4)
    for piece in range(1, count):
        inside = pieces == piece
        around = cv2.dilate(np.uint8(inside), np.ones([3, 3], np.uint8)) > 0
        neighbours = mask[around & ~untracked]
        for label in (BACKGROUND, FOREGROUND):
            if np.mean(neighbours == label) >= AGREEMENT:
                filled[inside & (nearest == label)] = label
    return filled


def _nearest_label(mask, untracked):
    """The label of each cell's nearest tracked cell."""
    _, sources = cv2.distanceTransformWithLabels(
        np.uint8(untracked), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.full(sources.max() + 1, IGNORE, np.uint8)
    labels[sources[~untracked]] = mask[~untracked]
    return labels[sources]
