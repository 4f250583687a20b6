"""Repairs image files that hold a whole picture but cannot be decoded as they are."""

from __future__ import annotations

import hashlib
import io
import struct

import numpy as np
from PIL import Image

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_CHUNK = struct.Struct(">I4s")

# Markers of ITU-T T.81, table B.1.
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS = 0xDA
_NO_LENGTH = (0x01, *range(0xD0, 0xD9))
_FRAMES = tuple(code for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC))
_PROGRESSIVE = (0xC2, 0xCA)
_LAST_COEFFICIENT = 63
# Bits that a decoder takes for pixels only if the file lacks some.
_PADS = (b"\x55" * 64, b"\xb2" * 64)
# Number of bytes at the end of a whole picture's data that cannot all be padding.
_USED_BYTES = 8


def repair(data: bytes) -> tuple[bytes, str]:
    """Repairs a JPEG without its end marker, or a PNG with a damaged animation.

    Args:
      data: the bytes of an image file that cannot be decoded as it is.

    Returns:
      (bytes to decode instead, what was wrong); the bytes are empty if the file cannot
      be repaired.
    """
    if data.startswith(_SOI):
        return _with_end(data), "JPEG without its end marker"
    if data.startswith(_PNG_SIGNATURE):
        still = _without_animation(data)
        return still, "animated PNG with a broken frame table, still picture used"
    return b"", ""


def _with_end(data: bytes) -> bytes:
    """Adds the end marker to a JPEG that lacks nothing else; b"" for any other file.

    Decoders fill in missing pixels silently. So this function decodes the file with some
    additional bits: if they change the picture, the file lacks more than its end marker.
    It also decodes the file without its last bytes: if additional bits do not change the
    picture then, these bytes are not part of it; they may be the zeros of a file that
    was never filled.
    """
    if _ending(data) != (False, True):
        return b""
    # The last byte of the picture may be zero, and zeros may follow it.
    for body in (data.rstrip(b"\0\xff"), data.rstrip(b"\xff")):
        if _is_whole(body):
            return body + _EOI
    return b""


def _is_whole(body: bytes) -> bool:
    """Whether a JPEG without its end marker has all its pixels and ends with them."""
    whole = {_digest(body + pad + _EOI) for pad in (b"", *_PADS)}
    short = {_digest(body[:-_USED_BYTES] + pad + _EOI) for pad in (b"", *_PADS)}
    return len(whole) == 1 and whole != {b""} and len(short | whole) > 1


def _digest(data: bytes) -> bytes:
    """Digest of a JPEG's pixels, which takes less memory; b"" if it has none."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return hashlib.sha256(np.asarray(image).data).digest()
    except Exception:
        return b""


def lacks_end_marker(data: bytes) -> bool:
    """Whether a file is a JPEG that has no end marker after its picture."""
    return data.startswith(_SOI) and not _ending(data)[0]


def _ending(data: bytes) -> tuple[bool, bool]:
    """Looks for the end of a JPEG.

    Returns:
      (whether it has an end marker, whether every scan that its picture needs has
      begun): a progressive file may end between two scans, with part of its picture.
    """
    needed: set[tuple[int, int]] | None = None
    place = len(_SOI)
    while True:
        marker = _next_marker(data, place)
        if marker is None:
            return False, needed is not None and not needed
        place = marker
        code = data[place + 1]
        if code == _EOI[1]:
            return True, needed is not None and not needed
        if code in _NO_LENGTH:
            place += 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place + 4 : place + 2 + length]
        if len(segment) < length - 2 or length < 2:
            return False, False
        if code in _FRAMES:
            needed = _needed(segment, code in _PROGRESSIVE)
        elif code == _SOS and needed is not None:
            needed -= _scanned(segment)
        place += 2 + length


def _next_marker(data: bytes, place: int) -> int | None:
    """Position of the next marker, past entropy-coded data; None at the end."""
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            return None
        if data[place + 1] not in (0x00, 0xFF):
            return place
        place += 1


def _needed(frame: bytes, is_progressive: bool) -> set[tuple[int, int]]:
    """The (component, coefficient) pairs whose last bit the scans must hold."""
    components = frame[6 : 6 + 3 * frame[5] : 3] if len(frame) > 5 else b""
    last = _LAST_COEFFICIENT if is_progressive else 0
    return {(component, k) for component in components for k in range(last + 1)}


def _scanned(scan: bytes) -> set[tuple[int, int]]:
    """The (component, coefficient) pairs whose last bit a scan holds."""
    count = scan[0] if scan else 0
    if len(scan) < 4 + 2 * count:
        return set()
    first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
    if bits & 0x0F:  # Later scans refine these.
        return set()
    components = scan[1 : 1 + 2 * count : 2]
    return {(component, k) for component in components for k in range(first, last + 1)}


def _without_animation(data: bytes) -> bytes:
    """A PNG without its chunks of animation; b"" if it has none."""
    kept, place, is_animated = [_PNG_SIGNATURE], len(_PNG_SIGNATURE), False
    while place + _CHUNK.size <= len(data):
        length, kind = _CHUNK.unpack_from(data, place)
        end = place + _CHUNK.size + length + 4
        if kind in _ANIMATION:
            is_animated = True
        else:
            kept.append(data[place:end])
        place = end
    return b"".join(kept) if is_animated else b""
