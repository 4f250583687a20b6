"""Writes image files that no installed library writes, byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

_Samples = npt.NDArray[np.generic]


def png(
    values: _Samples,
    depth: int,
    color: int = 0,
    chunks: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """Returns a PNG file.

    Args:
      values: integers [H, W] or [H, W, C] of `depth` bits.
      depth: bits per sample.
      color: PNG's color type.
      chunks: (type, data) of chunks before the pixels.
    """
    rows = b"".join(b"\0" + row for row in _rows(values, depth))
    header = struct.pack(
        ">IIBBBBB", values.shape[1], values.shape[0], depth, color, 0, 0, 0
    )
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk with its length and checksum."""
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def tiff(
    values: _Samples,
    bits: int,
    photometric: int = 1,
    order: str = "<",
    tags: Iterable[tuple[int, int]] = (),
) -> bytes:
    """Returns an uncompressed gray TIFF file.

    Args:
      values: integers [H, W] of `bits` bits.
      bits: bits per sample; samples that are not whole bytes are packed.
      photometric: 1, or 0 if white is zero.
      order: order of bytes, "<" or ">".
      tags: (tag, value) of more tags of type SHORT.
    """
    if bits in (16, 32):
        data = values.astype(f"{order}u{bits // 8}").tobytes()
    else:
        data = b"".join(_rows(values, bits))
    height, width = values.shape
    shorts = {258: bits, 259: 1, 262: photometric, 277: 1, **dict(tags)}
    longs = {256: width, 257: height, 273: 0, 278: height, 279: len(data)}
    count = len(shorts) + len(longs)
    longs[273] = 8 + 2 + 12 * count + 4
    entries = [(tag, 4, struct.pack(f"{order}I", long)) for tag, long in longs.items()]
    entries += [
        (tag, 3, struct.pack(f"{order}H2x", short)) for tag, short in shorts.items()
    ]
    listed = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1) + value
        for tag, kind, value in sorted(entries)
    )
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(f"{order}HIH", 42, 8, count)
    return head + listed + bytes(4) + data


def _rows(values: _Samples, bits: int) -> Iterator[bytes]:
    """Packs each row of samples to bytes, the highest bit first."""
    for row in np.reshape(values, [len(values), -1]).astype(np.int64):
        digits = (row[:, None] >> np.arange(bits)[::-1]) & 1
        yield np.packbits(digits.astype(np.uint8).ravel()).tobytes()
