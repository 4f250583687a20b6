"""Depth images of other people's sets: 16-bit PNG, PGM or TIFF, in steps of a unit."""

import numpy as np

from data_prep import photo_conversion
from data_prep.nyu import pnm
from data_prep.shards import SetAside

_MAX_PIXELS = 100_000_000


def decode(data):
    """Reads a depth image.

    Args:
      data: bytes of the file.

    Returns:
      uint16 [H, W], the values as they are in the file.

    Raises:
      SetAside: it is broken or holds no 16-bit depth; nothing else is raised,
        whatever the bytes.
    """
    try:
        steps = pnm.decode(data) if data[:2] in (b"P5", b"P6") else _decode(data)
    except SetAside:
        raise
    except Exception as error:
        # Pillow's plug-ins raise whatever their parsing runs into.
        raise SetAside(f"depth image is broken: {error}") from error
    if steps.dtype == np.uint8:
        raise SetAside(
            "depth image has 8 bits: 256 steps are too coarse, and are as a rule "
            "stretched for viewing; expected 16"
        )
    if steps.ndim != 2:
        raise SetAside("depth image has colors; expected one 16-bit channel")
    return steps


def _decode(data):
    try:
        image = photo_conversion.open_image(data)
    except Exception as error:
        reason = "is of no known format" if data else "is empty"
        raise SetAside(f"depth image {reason}") from error
    if image.width * image.height > _MAX_PIXELS:
        raise SetAside(f"depth image has {image.width}x{image.height} pixels")
    if image.mode == "F":
        raise SetAside("depth image holds floating-point values; expected 16-bit steps")
    values = np.asarray(image)
    if image.mode not in photo_conversion.MODES_16_BIT:
        return values.astype(np.uint8)
    if values.min() < 0 or values.max() > 65535:
        raise SetAside("depth image holds values beyond 16 bits")
    return values.astype(np.uint16)
