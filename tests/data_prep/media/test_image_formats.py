"""Image formats: those that are read, their orientation, and the names of the others."""

from __future__ import annotations

import io

import image_files
import numpy as np
import pytest
from PIL import Image

from data_prep.build import inputs
from data_prep.build.shards import SetAside
from data_prep.media import image_formats
from data_prep.sources import photo_conversion, photo_listing

image_formats.register()
ORIENTATION = 0x0112
SIZE = (64, 48)


def _picture():
    """A smooth color picture, uint8 [48, 64, 3]: redder right, greener down."""
    y, x = np.mgrid[0 : 1 : SIZE[1] * 1j, 0 : 1 : SIZE[0] * 1j]
    return np.round(255 * np.stack([x, y, 0.5 * (1 - x)], -1)).astype(np.uint8)


def _saved(kind, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(_picture()).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _exif(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def _shown(orientation):
    """How a viewer shows the stored picture (EXIF 2.3, section 4.6.4)."""
    picture = _picture()
    return {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, -1),
        7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture),
    }[orientation]


def _error(data, expected):
    """Mean difference between the pixels of the record and the expected pixels."""
    encoded, width, height = photo_conversion.encode(data)
    assert (height, width) == expected.shape[:2]
    pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    return np.abs(pixels.astype(int) - expected).mean()


# The writers of HEIF and AVIF store the rotation in the container too, not in EXIF only.
TURNED = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "HEIF": {"quality": 95},
    "AVIF": {"quality": 95},
}


@pytest.mark.parametrize("kind", TURNED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_of_all_formats_are_rotated_once(kind, orientation):
    if kind not in Image.OPEN:
        pytest.skip(f"this Pillow has no {kind}")
    data = _saved(kind, exif=_exif(orientation), **TURNED[kind])
    assert _error(data, _shown(orientation)) < 3


def test_exif_without_a_box_does_not_rotate_heic():
    """The boxes of the format count (ISO/IEC 23008-12, 6.5.10); phones write both."""
    data = _saved("HEIF", exif=_exif(6), quality=95)
    assert b"irot" in data
    assert _error(data.replace(b"irot", b"free"), _picture()) < 3


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("HEIF", "RGB", {"quality": 95}),
        ("HEIF", "L", {"quality": 95}),
        ("JPEG2000", "RGB", {}),
        ("JPEG2000", "L", {}),
        ("JPEG2000", "RGB", {"no_jp2": True}),
    ],
)
def test_photos_of_newer_formats_are_read(kind, mode, options):
    data = _saved(kind, mode, **options)
    expected = np.asarray(Image.fromarray(_picture()).convert(mode).convert("RGB"))
    assert _error(data, expected) < 3
    name = {"HEIF": "a.HEIC", "JPEG2000": "a.jp2"}[kind]
    assert not photo_conversion.convert(data, name).note
    assert "named .jpg" in photo_conversion.convert(data, "a.jpg").note


def test_transparent_heic_is_composited_over_white():
    rgba = Image.fromarray(np.dstack([_picture() // 2, np.zeros(SIZE[::-1], np.uint8)]))
    file = io.BytesIO()
    rgba.save(file, "HEIF", quality=95)
    assert _error(file.getvalue(), np.full_like(_picture(), 255)) < 3


@pytest.mark.parametrize("kind", ["HEIF", "JPEG2000"])
def test_broken_files_of_newer_formats_are_set_aside(kind):
    data = _saved(kind)
    with pytest.raises(SetAside, match=r"is broken|cannot be read"):
        photo_conversion.encode(data[: len(data) // 2])


def _thumbnail_tiff():
    """A file that begins like the raw file of a camera."""
    return image_files.tiff(np.zeros((48, 64), int), 8, tags=[(254, 1)])


NAMED = {
    "jxl": (b"\xff\x0a" + bytes(40), "is a JPEG XL image, .* convert it"),
    "jxl box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "JPEG XL"),
    "cr2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "Canon raw"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\x01" + bytes(40), "Canon raw"),
    "nef": (_thumbnail_tiff(), "begins with a thumbnail"),
    "psd": (b"8BPS\0\x01" + bytes(40), "Photoshop"),
    "svg": (b"\n <svg xmlns=''></svg>", "SVG"),
    "page": (b"<!DOCTYPE html><html></html>", "web page"),
    "12-bit jpeg": (
        b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x30\0\x40\x01\x01\x11\0",
        "is a JPEG file that cannot be read: cannot handle 12-bit",
    ),
}


@pytest.mark.parametrize("case", NAMED)
def test_unsupported_formats_are_named(case):
    data, reason = NAMED[case]
    with pytest.raises(SetAside, match=reason):
        photo_conversion.encode(data)


def test_finder_includes_photos_of_unsupported_formats(tmp_path):
    names = ["a.heic", "b.hif", "c.jp2", "d.jxl", "e.dng", "f.CR3"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "by content").write_bytes(_saved("HEIF"))
    (tmp_path / "by content too").write_bytes(_saved("JPEG2000"))
    (tmp_path / "film").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    finder = inputs.FileFinder(str(tmp_path), photo_listing.looks_like_photo)
    assert sorted(finder) == sorted([*names, "by content", "by content too"])
    assert finder.num_others == 1
