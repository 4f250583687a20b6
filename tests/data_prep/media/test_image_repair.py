"""Files with a whole picture are repaired, and no others."""

from __future__ import annotations

import io
import struct

import image_files
import numpy as np
import pytest
from PIL import Image

from data_prep.build.shards import SetAside
from data_prep.sources import photo_conversion

SIZE = (64, 48)


def _picture():
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
    return small.resize(SIZE, Image.Resampling.BICUBIC)


def _jpeg(**options):
    file = io.BytesIO()
    _picture().save(file, "JPEG", quality=90, **options)
    return file.getvalue()


KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "rotated": {
        "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06"
        + bytes(6)
    },
}
NOTE = "JPEG without its end marker"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacking", [1, 2])
def test_a_jpeg_without_its_end_marker_is_used(kind, lacking):
    whole = _jpeg(**KINDS[kind])
    assert whole.endswith(b"\xff\xd9")
    photo = photo_conversion.convert(whole[:-lacking], "a.jpg")
    expected, _, _ = photo_conversion.encode(whole)
    assert photo.encoded == expected
    assert photo.note.endswith(NOTE)
    assert photo_conversion.convert(whole, "a.jpg").note != photo.note


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacking", [6, 40, 400])
def test_a_jpeg_that_lacks_more_is_broken(kind, lacking):
    with pytest.raises(SetAside, match="is broken"):
        photo_conversion.encode(_jpeg(**KINDS[kind])[:-lacking])


def test_a_file_that_was_never_filled_is_broken():
    """A decoder takes zeros for pixels, and makes them gray."""
    whole = _jpeg()
    with pytest.raises(SetAside, match="is broken"):
        photo_conversion.encode(whole[:-400] + bytes(5000))
    photo = photo_conversion.convert(whole[:-2] + bytes(5000), "a.jpg")
    assert (photo.encoded, photo.note) == (whole, NOTE)


def test_a_progressive_jpeg_that_lacks_a_scan_is_broken():
    """The file ends where a scan ends, and has a coarse picture."""
    data = _jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    for padding in (b"", bytes(5000)):
        with pytest.raises(SetAside, match="is broken"):
            photo_conversion.encode(data[:last] + padding)


def _animated(frame):
    """A PNG file whose frame table is `frame`; the picture is whole."""
    chunks = [(b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", frame)]
    return image_files.png(np.asarray(_picture()), 8, 2, chunks)


BAD_FRAMES = {
    "truncated": b"\0" * 9,
    "beyond": struct.pack(">IIIIIHHBB", 0, *SIZE, 30, 0, 1, 25, 0, 0),
    "sequence": struct.pack(">IIIIIHHBB", 7, *SIZE, 0, 0, 1, 25, 0, 0),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_a_png_with_a_bad_frame_table_is_used(case):
    photo = photo_conversion.convert(_animated(BAD_FRAMES[case]), "a.png")
    pixels = np.asarray(Image.open(io.BytesIO(photo.encoded)))
    np.testing.assert_array_equal(pixels, np.asarray(_picture()))
    assert photo.note == "animated PNG with a broken frame table, still picture used"
    good = struct.pack(">IIIIIHHBB", 0, *SIZE, 0, 0, 1, 25, 0, 0)
    assert not photo_conversion.convert(_animated(good), "a.png").note


def test_a_broken_picture_stays_broken():
    data = _animated(BAD_FRAMES["sequence"])
    with pytest.raises(SetAside, match="is broken"):
        photo_conversion.encode(data[:-200])
