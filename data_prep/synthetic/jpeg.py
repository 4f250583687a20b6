"""JPEG encoding of rendered images."""

from __future__ import annotations

import cv2

from data_prep.synthetic.arrays import UInt8

_QUALITY = 93


def encode(image: UInt8) -> bytes:
    """Returns the JPEG file of an RGB image, uint8 [H, W, 3].

    Raises:
      OSError: OpenCV failed to encode it.
    """
    encoded, data = cv2.imencode(
        ".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not encoded:
        raise OSError("OpenCV could not encode a JPEG")
    return data.tobytes()
