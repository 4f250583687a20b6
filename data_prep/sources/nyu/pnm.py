"""Decodes binary PGM and PPM files strictly: the file must hold all pixels.

General decoders invent the pixels that a truncated file lacks, or scale 16-bit values by
the maximum in the header. Scaling would change the meaning of a depth step.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from data_prep.build.shards import SetAside

_MAX_PIXELS = 100_000_000
# Magic, width, height and maximum; comments may stand between them.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(
    rb"P([56])" + 3 * (_GAP + rb"(\d{1,9})") + rb"(?:[ \t\r]*#[^\n]*\n|\s)"
)
_CHANNELS = {b"5": 1, b"6": 3}


def decode(data: bytes) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decodes a binary PGM (P5) or PPM (P6) file.

    Args:
      data: content of the file.

    Returns:
      array [H, W] (PGM) or [H, W, 3] (PPM); uint8, or uint16 if the maximum in the header
      is over 255.

    Raises:
      SetAside: the file has another format or is incomplete. No other exception is raised
        for any content of `data`.
    """
    header = _HEADER.match(data)
    if header is None:
        raise SetAside("is no binary PGM or PPM file" if data else "is empty")
    channels = _CHANNELS[header[1]]
    width, height, maximum = (int(header[index]) for index in (2, 3, 4))
    if not 0 < width * height <= _MAX_PIXELS or not 0 < maximum <= 65535:
        raise SetAside(f"header says {width}x{height} pixels up to {maximum}")
    dtype = np.dtype(np.uint8 if maximum < 256 else ">u2")
    expected = width * height * channels
    available = (len(data) - header.end()) // dtype.itemsize
    if available < expected:
        raise SetAside(f"is truncated: has {available} of {expected} values")
    shape = (height, width) if channels == 1 else (height, width, channels)
    values = np.frombuffer(data, dtype, expected, header.end()).reshape(shape)
    return values.astype(np.uint8) if maximum < 256 else values.astype(np.uint16)
