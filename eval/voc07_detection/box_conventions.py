"""Conversion of boxes between the convention of the records and that of PASCAL VOC.

Records: (ymin, xmin, ymax, xmax), edges in pixels from 0. VOC: (xmin, ymin, xmax, ymax),
pixels that count from 1, the last pixel included. A box of only the pixel at the top left
is 0, 0, 1, 1 in the records and 1, 1, 1, 1 in VOC.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_FIRST_PIXEL = np.array([1, 1, 0, 0], np.float32)

Boxes = npt.NDArray[np.float32]


def to_voc(boxes: npt.ArrayLike) -> Boxes:
    """Converts boxes [N, 4] of records to VOC's convention, float32 [N, 4]."""
    return np.asarray(boxes, np.float32)[:, [1, 0, 3, 2]] + _FIRST_PIXEL


def from_voc(boxes: npt.ArrayLike) -> Boxes:
    """Converts boxes [N, 4] of VOC to the records' convention, float32 [N, 4]."""
    converted: Boxes = (np.asarray(boxes, np.float32) - _FIRST_PIXEL)[:, [1, 0, 3, 2]]
    return converted
