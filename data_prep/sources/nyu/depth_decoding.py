"""Decodes depth images in the usual formats: 16-bit PNG, PGM or TIFF."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_prep.build.shards import SetAside
from data_prep.media import image_formats, rgb_conversion
from data_prep.sources import photo_conversion
from data_prep.sources.nyu import pnm

# Pillow scales the values of other formats, or those formats lose detail.
_FORMATS = ("PNG", "TIFF")
_COARSE_MODES = ("1", "L", "P")
_UNKNOWN = 0
_COARSE = (
    "depth image has 8 bits: 256 steps are too coarse, and are usually stretched for "
    "viewing; expected 16"
)


def decode(data: bytes) -> npt.NDArray[np.uint16]:
    """Decodes a depth image.

    Args:
      data: content of the file.

    Returns:
      uint16 [H, W]: the values as they are in the file, not scaled to 16 bits; 0 where
      the image is transparent. The image is turned as EXIF says.

    Raises:
      SetAside: the file is broken, or holds no depth of more than 8 bits. No other
        exception is raised for any content of `data`.
    """
    try:
        steps = pnm.decode(data) if data[:2] in (b"P5", b"P6") else _decode(data)
    except SetAside:
        raise
    except Exception as error:
        # Pillow's plug-ins raise exceptions of any type on damaged files.
        raise SetAside(f"depth image is broken: {error}") from error
    if steps.ndim != 2:
        raise SetAside("depth image has colors; expected one 16-bit channel")
    if steps.dtype == np.uint8:
        raise SetAside(_COARSE)
    return steps.astype(np.uint16, copy=False)


def _decode(data: bytes) -> npt.NDArray[np.uint16]:
    """Decodes a file of a format other than PGM."""
    try:
        image = image_formats.open_image(data)
    except Exception as error:
        reason = image_formats.why_unreadable(data)
        raise SetAside(f"depth image: {reason}") from error
    if image.width * image.height > photo_conversion.MAX_PIXELS:
        raise SetAside(f"depth image has {image.width}x{image.height} pixels")
    if image.format not in _FORMATS:
        raise SetAside(
            f"depth image is a {image.format} file; expected 16-bit PNG, TIFF or "
            "binary PGM (P5)"
        )
    if image.mode == "F":
        raise SetAside("depth image holds floating-point values; expected 16-bit steps")
    if image.mode in _COARSE_MODES:
        raise SetAside(_COARSE)
    if image.mode not in rgb_conversion.MODES_16_BIT:
        raise SetAside(
            f"depth image has colors or transparency ({image.mode}); expected one "
            "16-bit channel"
        )
    if rgb_conversion.is_white_zero(image):
        raise SetAside(
            "depth image is a TIFF file in which 0 is white (PhotometricInterpretation "
            "0), so its values may be inverted; expected 1"
        )
    image.load()
    values = np.array(photo_conversion.turn_upright(image, image))
    if values.min() < 0 or values.max() > 65535:
        raise SetAside("depth image holds values beyond 16 bits")
    transparent = rgb_conversion.transparent_value(image)
    if transparent is not None:
        values[values == transparent] = _UNKNOWN
    return values.astype(np.uint16)
