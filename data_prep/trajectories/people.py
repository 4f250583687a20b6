"""Detects people, who move on their own and may mislead the camera estimate."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

# The detector's window is 128 pixels high. Enlarging frames whose shorter side is below
# this many pixels lets the detector find smaller people.
ENLARGE_BELOW = 480


class PeopleDetector:
    """OpenCV's HOG detector of upright people."""

    def __init__(self) -> None:
        self._detector = cv2.HOGDescriptor()
        self._detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())

    def __call__(self, gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Detects people in a frame.

        Args:
          gray: uint8 [H, W].

        Returns:
          bool [H, W], true inside boxes around people.
        """
        factor = max(1.0, ENLARGE_BELOW / min(gray.shape))
        enlarged = cv2.resize(gray, None, fx=factor, fy=factor)
        boxes, _ = self._detector.detectMultiScale(
            enlarged, winStride=(8, 8), scale=1.1
        )
        mask = np.zeros(gray.shape, bool)
        for left, top, width, height in np.asarray(boxes).reshape(-1, 4) / factor:
            rows = slice(max(0, int(top)), int(np.ceil(top + height)))
            columns = slice(max(0, int(left)), int(np.ceil(left + width)))
            mask[rows, columns] = True
        return mask
