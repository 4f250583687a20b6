"""Estimates the camera motion between two frames as a homography of the background."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import flow as flow_lib
from data_prep.trajectories.flow import Flow, Gray

# bool [H, W] of each of two frames.
PixelMasks = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
# Points (x, y), float32 [n, 2]; matches of points in two frames, float32 [2, n, 2].
Points = npt.NDArray[np.float32]
Matches = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

RANSAC_PIXELS = 1.0
MIN_MATCHES = 50
MIN_INLIERS = 25
# Across a cut, about one match in thirty agrees by chance.
MIN_INLIER_SHARE = 0.1
# The background and some large objects may each follow a homography.
MAX_CANDIDATES = 3
# Distance in pixels between the points where candidates are compared with the flow.
SUPPORT_GRID = 4
MAX_CORNERS = 1000
CORNER_QUALITY = 0.001
MAX_KEYPOINTS = 500
# Minimum distances, as shares of the frame's shorter side. They spread both kinds of
# matches evenly over the frame, so that a detailed object does not outvote the background.
CORNER_DISTANCE = 1 / 30
KEYPOINT_CELL = 1 / 8


def homography(
    first: Gray, second: Gray, flow: Flow, exclude: PixelMasks | None = None
) -> Matrix | None:
    """Fits a homography to feature matches and to the flow at corners.

    Args:
      first, second: uint8 [H, W] gray frames.
      flow: float32 [H, W, 2] from `first` to `second`.
      exclude: bool [H, W] for each frame, true at pixels that must not be used, such as
        people; None uses all pixels.

    Returns:
      float64 [3, 3] that maps pixels of `first` to `second`; None if too few matches
      agree.
    """
    sources, targets = find_matches(first, second, flow, exclude)
    return fit(sources, targets, flow)


def find_matches(
    first: Gray, second: Gray, flow: Flow, exclude: PixelMasks | None = None
) -> Matches:
    """Matches points of two frames by features and by flow.

    Args:
      first, second, flow, exclude: see `homography`.

    Returns:
      float32 [2, n, 2]: (x, y) in `first` and in `second`.
    """
    usable: tuple[Gray | None, Gray | None] = (None, None)
    if exclude is not None:
        usable = (np.uint8(255) * ~exclude[0], np.uint8(255) * ~exclude[1])
    return np.concatenate(
        [
            _thinned(matched_keypoints(first, second, usable), first.shape),
            _followed_corners(first, flow, usable[0]),
        ],
        axis=1,
    )


def fit(sources: Points, targets: Points, flow: Flow) -> Matrix | None:
    """Fits a homography to matches, most of which are in the background.

    Args:
      sources, targets: float32 [n, 2], (x, y) in the first and in the second frame.
      flow: float32 [H, W, 2] from the first frame to the second.

    Returns:
      float64 [3, 3]; None if too few matches agree.
    """
    if len(sources) < MIN_MATCHES:
        return None
    candidates = _candidates(sources, targets)
    return max(candidates, key=lambda matrix: _support(matrix, flow), default=None)


def _candidates(sources: Points, targets: Points) -> list[Matrix]:
    """Fits up to `MAX_CANDIDATES` homographies by RANSAC.

    Each is fitted to the matches that are no inliers of the earlier homographies.

    Args:
      sources, targets: float32 [n, 2], (x, y).

    Returns:
      list of float64 [3, 3].
    """
    needed = max(MIN_INLIERS, MIN_INLIER_SHARE * len(sources))
    candidates: list[Matrix] = []
    while len(candidates) < MAX_CANDIDATES and len(sources) >= needed:
        matrix, inliers = cv2.findHomography(
            sources, targets, cv2.RANSAC, RANSAC_PIXELS
        )
        if matrix is None or np.count_nonzero(inliers) < needed:
            break
        candidates.append(matrix)
        rest = inliers[:, 0] == 0
        sources, targets = sources[rest], targets[rest]
    return candidates


def _support(matrix: Matrix, flow: Flow) -> float:
    """Returns the area that moves as `matrix` says; area near the borders counts more.

    A count of matches would often prefer a large object, because the background is
    rarely the most detailed part. But the background is large and reaches the borders.

    Args:
      matrix: float64 [3, 3].
      flow: float32 [H, W, 2].
    """
    height, width = flow.shape[:2]
    half = SUPPORT_GRID // 2
    rows, columns = np.mgrid[half:height:SUPPORT_GRID, half:width:SUPPORT_GRID]
    points = np.stack([columns, rows], axis=-1).reshape(1, -1, 2).astype(np.float64)
    moved = cv2.perspectiveTransform(points, matrix) - points
    error = moved.reshape(*rows.shape, 2) - flow[rows, columns]
    agrees = np.linalg.norm(error, axis=2) < RANSAC_PIXELS
    inset = np.minimum(
        np.minimum(columns, width - columns) / width,
        np.minimum(rows, height - rows) / height,
    )
    return float(np.sum(agrees * (1.0 - inset)))


def matched_keypoints(
    first: Gray, second: Gray, usable: Sequence[Gray | None]
) -> Matches:
    """Matches ORB keypoints that are each other's nearest neighbor.

    Args:
      first, second: uint8 [H, W].
      usable: for each frame, uint8 [H, W] that is 0 where no keypoints are wanted; None
        for a frame that may be used everywhere.

    Returns:
      float32 [2, n, 2]: (x, y) in `first` and in `second`.
    """
    detector = cv2.ORB_create(MAX_KEYPOINTS, nlevels=3, edgeThreshold=16)
    keys, descriptors = detector.detectAndCompute(first, usable[0])
    other_keys, other_descriptors = detector.detectAndCompute(second, usable[1])
    if descriptors is None or other_descriptors is None:
        return np.zeros([2, 0, 2], np.float32)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    matches = matcher.match(descriptors, other_descriptors)
    sources = [keys[match.queryIdx].pt for match in matches]
    targets = [other_keys[match.trainIdx].pt for match in matches]
    return np.array([sources, targets], np.float32).reshape(2, -1, 2)


def _thinned(pairs: Matches, shape: Sequence[int]) -> Matches:
    """Keeps at most one match in each cell of the first frame.

    Args:
      pairs: float32 [2, n, 2].
      shape: (H, W) of the frame.

    Returns:
      float32 [2, m, 2].
    """
    cell = max(1.0, KEYPOINT_CELL * min(shape))
    columns, rows = (pairs[0] // cell).astype(np.int64).T
    _, chosen = np.unique(rows * shape[1] + columns, return_index=True)
    return pairs[:, chosen]


def _followed_corners(first: Gray, flow: Flow, usable: Gray | None) -> Matches:
    """Finds corners of `first` and follows the flow from them.

    Args:
      first, flow: see `homography`.
      usable: uint8 [H, W] that is 0 where no corners are wanted, or None.

    Returns:
      float32 [2, n, 2]: (x, y) in the first and in the second frame.
    """
    distance = max(1.0, CORNER_DISTANCE * min(first.shape))
    corners = cv2.goodFeaturesToTrack(
        first, MAX_CORNERS, CORNER_QUALITY, distance, mask=usable
    )
    if corners is None:
        return np.zeros([2, 0, 2], np.float32)
    corners = corners[:, 0]
    return np.stack([corners, corners + flow_lib.flow_at(flow, corners, 1.0)])


def stabilise(first: Gray, second: Gray, matrix: Matrix) -> Gray:
    """Warps `second` to the view of a camera that has not moved since `first`.

    Pixels that the second frame does not show are copied from the first, so that they
    show no motion.

    Args:
      first, second: uint8 [H, W].
      matrix: float64 [3, 3] from `homography`.

    Returns:
      uint8 [H, W].
    """
    return cv2.warpPerspective(
        second,
        matrix,
        (first.shape[1], first.shape[0]),
        dst=first.copy(),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
