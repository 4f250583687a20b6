"""Image files' bytes."""

import cv2

_JPEG_QUALITY = 93


def jpeg(image):
    """A JPEG of uint8 [H, W, 3], RGB."""
    done, data = cv2.imencode(
        ".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise OSError("OpenCV could not encode a JPEG")
    return data.tobytes()
