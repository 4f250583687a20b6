"""Ways to match features, to compare with the one that `camera` uses."""

import cv2
import numpy as np

from data_prep.trajectories import camera


def none(first, second, usable):
    """No matches: flow at good features has to do."""
    del first, second, usable
    return np.zeros([2, 0, 2], np.float32)


def akaze(first, second, usable):
    """AKAZE keypoints that are each other's nearest."""
    return _matched(cv2.AKAZE_create(), cv2.NORM_HAMMING, first, second, usable)


def sift(first, second, usable):
    """SIFT keypoints that are each other's nearest."""
    return _matched(cv2.SIFT_create(1000), cv2.NORM_L2, first, second, usable)


def _matched(detector, norm, first, second, usable):
    keys, descriptors = detector.detectAndCompute(first, usable[0])
    other_keys, other_descriptors = detector.detectAndCompute(second, usable[1])
    if descriptors is None or other_descriptors is None:
        return np.zeros([2, 0, 2], np.float32)
    matches = cv2.BFMatcher(norm, crossCheck=True).match(descriptors, other_descriptors)
    sources = [keys[match.queryIdx].pt for match in matches]
    targets = [other_keys[match.trainIdx].pt for match in matches]
    return np.array([sources, targets], np.float32).reshape(2, -1, 2)


ALL = {
    "none": none,
    "ORB": camera.matched_keypoints,
    "AKAZE": akaze,
    "SIFT": sift,
}
