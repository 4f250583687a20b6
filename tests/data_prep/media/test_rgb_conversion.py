"""Gray of every bit depth, and transparent pixels, have the colors of a viewer."""

from __future__ import annotations

import io
import struct

import image_files
import numpy as np
import pytest
from PIL import Image

from data_prep.build.shards import SetAside
from data_prep.sources import photo_conversion
from data_prep.sources.nyu import depth_decoding

SIDE = 48


def _ramp(bits):
    """A ramp from black to white, int [SIDE, SIDE]."""
    return np.tile(np.round(np.linspace(0, 2**bits - 1, SIDE)), (SIDE, 1)).astype(int)


def _pixels(data):
    """RGB of the record, int [SIDE, SIDE, 3]; exact, as small images become PNGs."""
    encoded, _, _ = photo_conversion.encode(data)
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)


# Bits, PhotometricInterpretation and byte order of the files that Pillow opens.
SUPPORTED = [
    *((bits, zero, order) for bits in (2, 4, 8) for zero in (0, 1) for order in "<>"),
    (12, 1, "<"), (16, 0, "<"), (16, 1, "<"), (16, 1, ">"),
]  # fmt: skip


@pytest.mark.parametrize(("bits", "photometric", "order"), SUPPORTED)
def test_gray_tiff_is_scaled_to_8_bits(bits, photometric, order):
    data = image_files.tiff(_ramp(bits), bits, photometric, order)
    expected = _ramp(bits) * 255 / (2**bits - 1)
    if photometric == 0:
        expected = 255 - expected
    pixels = _pixels(data)
    assert np.abs(pixels - expected[..., None]).max() <= 0.5


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [10, 12, 14, 16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_other_gray_tiff_is_set_aside(bits, photometric, order):
    if (bits, photometric, order) in SUPPORTED:
        return
    data = image_files.tiff(_ramp(bits), bits, photometric, order)
    with pytest.raises(SetAside, match=f"{bits} bits"):
        photo_conversion.encode(data)


def test_signed_tiff_is_set_aside():
    data = image_files.tiff(_ramp(15), 16, tags=[(339, 2)])
    with pytest.raises(SetAside, match="signed integers of 16 bits"):
        photo_conversion.encode(data)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_gray_of_a_png_is_white(bits):
    values = _ramp(bits)
    key = int(values[0, SIDE // 3])
    chunk = (b"tRNS", struct.pack(">H", key))
    pixels = _pixels(image_files.png(values, bits, chunks=[chunk]))
    expected = np.where(values == key, 255, values * 255 / (2**bits - 1))
    assert (values == key).any() and key < 2**bits - 1
    assert np.abs(pixels - expected[..., None]).max() <= 0.5


@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_color_of_a_png_is_white(bits):
    ramp = _ramp(bits)
    values = np.stack([ramp, ramp[:, ::-1], ramp // 2], -1)
    key = values[0, 9].tolist()
    chunk = (b"tRNS", struct.pack(">HHH", *key))
    pixels = _pixels(image_files.png(values, bits, 2, [chunk]))
    expected = values * 255 / (2**bits - 1)
    expected[:, 9] = 255
    assert np.abs(pixels - expected).max() <= 0.5


def test_jpeg_2000_of_12_bits_is_scaled_to_8_bits():
    # Pillow writes 16 bits. This test changes the header to 12 bits, which moves the
    # middle gray that is subtracted before coding (ITU-T T.800, annex G) from 2^15 to
    # 2^11.
    values = _ramp(12) + 2**15 - 2**11
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(
        file, "JPEG2000", no_jp2=True, irreversible=False
    )
    data = bytearray(file.getvalue())
    assert data[2:4] == b"\xff\x51" and data[42] == 15  # SIZ and its Ssiz.
    data[42] = 11
    expected = _ramp(12) * 255 / (2**12 - 1)
    assert np.abs(_pixels(bytes(data)) - expected[..., None]).mean() < 2


STEPS = np.random.default_rng(0).integers(500, 4000, (SIDE, SIDE))


@pytest.mark.parametrize("bits", [12, 16])
def test_depth_keeps_its_steps_at_any_bit_depth(bits):
    np.testing.assert_array_equal(
        depth_decoding.decode(image_files.tiff(STEPS, bits)), STEPS
    )


def test_transparent_depth_is_unknown():
    key = int(STEPS[3, 3])
    chunk = (b"tRNS", struct.pack(">H", key))
    pixels = depth_decoding.decode(image_files.png(STEPS, 16, chunks=[chunk]))
    np.testing.assert_array_equal(pixels, np.where(key == STEPS, 0, STEPS))


def _saved(image, kind):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


DEEP = Image.fromarray(STEPS.astype(np.uint16))
UNSAFE_DEPTH = {
    "white is zero": (image_files.tiff(STEPS, 16, 0), "PhotometricInterpretation 0"),
    "14 bits": (image_files.tiff(STEPS, 14), "cannot be read.*14 bits"),
    "gray and alpha": (
        image_files.png(np.stack([STEPS, STEPS], -1), 16, 4),
        "colors or transparency",
    ),
    "text": (b"P2\n2 1\n5000\n7 5000\n", "is a PPM file"),
    "scaled": (_saved(DEEP, "JPEG2000"), "is a JPEG2000 file"),
}


@pytest.mark.parametrize("case", UNSAFE_DEPTH)
def test_depth_that_may_be_wrong_is_set_aside(case):
    data, reason = UNSAFE_DEPTH[case]
    with pytest.raises(SetAside, match=reason):
        depth_decoding.decode(data)
