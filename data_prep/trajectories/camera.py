"""Camera motion between two frames: a homography that the background agrees on."""

import cv2
import numpy as np

from data_prep.trajectories import flow as flow_lib

RANSAC_PIXELS = 1.0
MIN_MATCHES = 50
MIN_INLIERS = 25
# At a cut, about one match in thirty agrees by chance.
MIN_INLIER_SHARE = 0.1
# The background, and as many objects, may each follow a homography.
MAX_CANDIDATES = 3
# Pixels between the places where candidates are compared with the flow.
SUPPORT_GRID = 4
MAX_CORNERS = 1000
CORNER_QUALITY = 0.001
MAX_KEYPOINTS = 500
# Both kinds of matches are spread evenly over the frame, so that a detailed object
# does not outvote the background: distances as shares of the frame's shorter side.
CORNER_DISTANCE = 1 / 30
KEYPOINT_CELL = 1 / 8


def homography(first, second, flow, exclude=None):
    """Fits the camera's motion to feature matches and flow at good features.

    Args:
      first, second: uint8 [H, W] gray frames.
      flow: float32 [H, W, 2] from `first` to `second`.
      exclude: None, or a pair of bool [H, W]: pixels of either frame that are not to
        be used, such as people.

    Returns:
      float64 [3, 3] taking pixels of `first` to `second`, or None where too few
      matches agree.
    """
    return fit(*find_matches(first, second, flow, exclude), flow)


def find_matches(first, second, flow, exclude=None):
    """Where points of `first` are in `second`, by features and by flow.

    Args:
      first, second, flow, exclude: as in `homography`.

    Returns:
      float32 [2, n, 2]: (x, y) in `first` and in `second`.
    """
    usable = (None, None)
    if exclude is not None:
        usable = tuple(np.uint8(255) * ~mask for mask in exclude)
    return np.concatenate(
        [
            _thinned(matched_keypoints(first, second, usable), first.shape),
            _followed_corners(first, flow, usable[0]),
        ],
        axis=1,
    )


def fit(sources, targets, flow):
    """Fits a homography to matches that are the background's for the larger part.

    Args:
      sources, targets: float32 [n, 2], (x, y).
      flow: float32 [H, W, 2] from the first frame to the second.

    Returns:
      float64 [3, 3], or None where too few matches agree.
    """
    if len(sources) < MIN_MATCHES:
        return None
    candidates = _candidates(sources, targets)
    return max(candidates, key=lambda matrix: _support(matrix, flow), default=None)


def _candidates(sources, targets):
    """Homographies by RANSAC, each fitted to the matches that those before leave.

    Args:
      sources, targets: float32 [n, 2], (x, y).

    Returns:
      list of at most `MAX_CANDIDATES` float64 [3, 3].
    """
    needed = max(MIN_INLIERS, MIN_INLIER_SHARE * len(sources))
    found = []
    while len(found) < MAX_CANDIDATES and len(sources) >= needed:
        matrix, inliers = cv2.findHomography(
            sources, targets, cv2.RANSAC, RANSAC_PIXELS
        )
        if matrix is None or np.count_nonzero(inliers) < needed:
            break
        found.append(matrix)
        left = inliers[:, 0] == 0
        sources, targets = sources[left], targets[left]
    return found


def _support(matrix, flow):
    """How much of the frame's area moves as `matrix` says; more at its borders.

    The background is rarely the most detailed part, so a count of matches would often
    take a large object for it; but it is large, and it reaches the borders.
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
    return np.sum(agrees * (1.0 - inset))


def matched_keypoints(first, second, usable):
    """ORB keypoints that are each other's nearest.

    Args:
      first, second: uint8 [H, W].
      usable: for each, None or uint8 [H, W] that is 0 where none are looked for.

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


def _thinned(pairs, shape):
    """Of `pairs` [2, n, 2], at most one in each cell of the first frame."""
    cell = max(1.0, KEYPOINT_CELL * min(shape))
    columns, rows = (pairs[0] // cell).astype(np.int64).T
    _, chosen = np.unique(rows * shape[1] + columns, return_index=True)
    return pairs[:, chosen]


def _followed_corners(first, flow, usable):
    """Corners of `first` and where the flow takes them: float32 [2, n, 2], (x, y)."""
    distance = max(1.0, CORNER_DISTANCE * min(first.shape))
    corners = cv2.goodFeaturesToTrack(
        first, MAX_CORNERS, CORNER_QUALITY, distance, mask=usable
    )
    if corners is None:
        return np.zeros([2, 0, 2], np.float32)
    corners = corners[:, 0]
    return np.stack([corners, corners + flow_lib.flow_at(flow, corners, 1.0)])


def stabilise(first, second, matrix):
    """Warps `second` to how a camera that stood still since `first` would see it.

    What the second frame does not show is taken from the first: no motion there.

    Args:
      first, second: uint8 [H, W].
      matrix: float64 [3, 3] from `homography`.
    """
    return cv2.warpPerspective(
        second,
        matrix,
        (first.shape[1], first.shape[0]),
        dst=first.copy(),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
