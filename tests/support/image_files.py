"""Image files that no library here writes, byte by byte."""

import struct
import zlib

import numpy as np


def png(values, depth, color=0, chunks=()):
    """A PNG file.

    Args:
      values: integers [H, W] or [H, W, C] of `depth` bits.
      depth: bits a sample.
      color: PNG's color type.
      chunks: (type, data) pairs that come before the pixels.
    """
    rows = b"".join(b"\0" + row for row in _rows(values, depth))
    header = struct.pack(
        ">IIBBBBB", values.shape[1], values.shape[0], depth, color, 0, 0, 0
    )
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def png_chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def tiff(values, bits, photometric=1, order="<", tags=()):
    """An uncompressed gray TIFF file.

    Args:
      values: integers [H, W] of `bits` bits.
      bits: a sample; of 10, 12 and 14 they are packed.
      photometric: 0, white is zero, or 1.
      order: "<" or ">", of bytes.
      tags: more (tag, value) pairs of type SHORT.
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
    entries = [(tag, 4, struct.pack(f"{order}I", one)) for tag, one in longs.items()]
    entries += [
        (tag, 3, struct.pack(f"{order}H2x", one)) for tag, one in shorts.items()
    ]
    listed = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1) + value
        for tag, kind, value in sorted(entries)
    )
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(f"{order}HIH", 42, 8, count)
    return head + listed + bytes(4) + data


def _rows(values, bits):
    """Each row of samples, packed to bytes from the highest bit on."""
    for row in np.reshape(values, [len(values), -1]).astype(np.int64):
        digits = (row[:, None] >> np.arange(bits)[::-1]) & 1
        yield np.packbits(digits.astype(np.uint8).ravel()).tobytes()
