"""Binary PGM and PPM files, strictly: all the pixels that the header says, or none.

General decoders fill up what a truncated file lacks, or scale 16-bit values by the
header's maximum, which would change what a step of depth means.
"""

import re

import numpy as np

from data_prep.build.shards import SetAside

_MAX_PIXELS = 100_000_000
# Magic, width, height, maximum; comments may stand between them.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(
    rb"P([56])" + 3 * (_GAP + rb"(\d{1,9})") + rb"(?:[ \t\r]*#[^\n]*\n|\s)"
)
_CHANNELS = {b"5": 1, b"6": 3}


def decode(data):
    """Reads a binary PGM (P5) or PPM (P6) file.

    Args:
      data: its bytes.

    Returns:
      uint8 or, for maxima over 255, uint16 array, [H, W] (PGM) or [H, W, 3] (PPM).

    Raises:
      SetAside: it is none, or not whole; nothing else is raised, whatever the bytes.
    """
    header = _HEADER.match(data)
    if header is None:
        raise SetAside("is no binary PGM or PPM file" if data else "is empty")
    channels = _CHANNELS[header[1]]
    width, height, maximum = (int(header[index]) for index in (2, 3, 4))
    if not 0 < width * height <= _MAX_PIXELS or not 0 < maximum <= 65535:
        raise SetAside(f"header says {width}x{height} pixels up to {maximum}")
    dtype = np.dtype(np.uint8 if maximum < 256 else ">u2")
    count = width * height * channels
    found = (len(data) - header.end()) // dtype.itemsize
    if found < count:
        raise SetAside(f"is truncated: has {found} of {count} values")
    values = np.frombuffer(data, dtype, count, header.end())
    shape = (height, width) if channels == 1 else (height, width, channels)
    return values.astype(dtype.newbyteorder("=")).reshape(shape)
