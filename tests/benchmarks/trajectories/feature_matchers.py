"""Ways to match features, to compare with `camera.matched_keypoints`.

Each takes two gray frames, uint8 [H, W], and for each of them a mask of usable pixels,
and returns matched points, float32 [2, N, 2]: (x, y) in the first and second frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.trajectories import camera

Image = npt.NDArray[np.uint8]
Matches = npt.NDArray[np.float32]
Matcher = Callable[[Image, Image, Sequence[Image]], Matches]


def none(first: Image, second: Image, usable: Sequence[Image]) -> Matches:
    """No matches: the camera follows from flow at good features only."""
    del first, second, usable
    return np.zeros([2, 0, 2], np.float32)


def akaze(first: Image, second: Image, usable: Sequence[Image]) -> Matches:
    """AKAZE keypoints that are nearest to each other."""
    return _matched(cv2.AKAZE_create(), cv2.NORM_HAMMING, first, second, usable)


def sift(first: Image, second: Image, usable: Sequence[Image]) -> Matches:
    """SIFT keypoints that are nearest to each other."""
    return _matched(cv2.SIFT_create(1000), cv2.NORM_L2, first, second, usable)


def _matched(
    detector: cv2.Feature2D,
    norm: int,
    first: Image,
    second: Image,
    usable: Sequence[Image],
) -> Matches:
    keys, descriptors = detector.detectAndCompute(first, usable[0])
    other_keys, other_descriptors = detector.detectAndCompute(second, usable[1])
    if descriptors is None or other_descriptors is None:
        return np.zeros([2, 0, 2], np.float32)
    matches = cv2.BFMatcher(norm, crossCheck=True).match(descriptors, other_descriptors)
    sources = [keys[match.queryIdx].pt for match in matches]
    targets = [other_keys[match.trainIdx].pt for match in matches]
    return np.array([sources, targets], np.float32).reshape(2, -1, 2)


ALL: dict[str, Matcher] = {
    "none": none,
    "ORB": camera.matched_keypoints,
    "AKAZE": akaze,
    "SIFT": sift,
}
