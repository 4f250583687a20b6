"""Where people are: they move on their own and may mislead the camera's estimate."""

import cv2
import numpy as np

# The detector's window is 128 pixels high; enlarged frames show smaller people to it.
ENLARGE_BELOW = 480


class PeopleDetector:
    """OpenCV's HOG detector of upright people."""

    def __init__(self):
        self._detector = cv2.HOGDescriptor()
        self._detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())

    def __call__(self, gray):
        """Returns bool [H, W], true in boxes around people, for uint8 [H, W]."""
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
