"""Boxes in the records' convention and in VOC's.

Records: (ymin, xmin, ymax, xmax), edges in pixels from 0. VOC: (xmin, ymin, xmax, ymax),
pixels that count from 1, the last one included. A box of the one pixel at the top left
is 0, 0, 1, 1 there and 1, 1, 1, 1 here.
"""

import numpy as np

_FIRST_PIXEL = np.array([1, 1, 0, 0], np.float32)


def to_voc(boxes):
    """Records' boxes [N, 4] as VOC's, float32 [N, 4]."""
    return np.asarray(boxes, np.float32)[:, [1, 0, 3, 2]] + _FIRST_PIXEL


def from_voc(boxes):
    """VOC's boxes [N, 4] as records', float32 [N, 4]."""
    return (np.asarray(boxes, np.float32) - _FIRST_PIXEL)[:, [1, 0, 3, 2]]
