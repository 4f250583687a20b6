"""Encodes arrays of pixels as image files."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.build.shards import SetAside


def encode_image(
    extension: str,
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    options: Sequence[int] = (),
) -> bytes:
    """Encodes an image with OpenCV.

    Args:
      extension: ".png" or ".jpg".
      pixels: uint8 [H, W] or [H, W, 3] BGR; with PNG also uint16 [H, W].
      options: pairs of an OpenCV parameter and its value.

    Raises:
      SetAside: OpenCV cannot encode the image.
    """
    encoded, data = cv2.imencode(extension, pixels, list(options))
    if not encoded:
        raise SetAside(f"cannot be encoded as {extension}")
    return data.tobytes()
