"""Decides which image files builders read, and says why they do not read the others.

The format of a file follows from its content, never from its name.
"""

from __future__ import annotations

import functools
import io

import pillow_heif
from PIL import Image, TiffImagePlugin

# Pillow reads more formats, but not all safely: for PostScript it starts Ghostscript.
_FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000",
    "AVIF", "HEIF",
)  # fmt: skip
_SUPPORTED = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp",
    ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".avif", ".heic", ".heif",
    ".hif", ".jp2", ".j2k", ".jpf", ".jpx",
)  # fmt: skip
# Photos that builders do not read. They count as inputs, so that a build lists them.
_UNSUPPORTED = (
    ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef",
)  # fmt: skip
HEAD_BYTES = 12
_SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  \r\n\x87\n",
)
_BOX = b"ftyp"
# Major brands of HEIF and AVIF (ISO/IEC 23008-12, AV1 Image File Format).
_BRANDS = (
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    b"avif", b"avis",
)  # fmt: skip
# First bytes and names of other formats that users take for photos.
_OTHERS = (
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"II\xbc\x01", "a JPEG XR image"),
    (b"II*\0\x10\0\0\0CR", "a Canon raw file"),
    (b"\0\0\0\x18ftypcrx ", "a Canon raw file"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw file"),
    (b"IIRO", "an Olympus raw file"),
    (b"IIU\0", "a Panasonic raw file"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<!DOCTYPE html", "a web page"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
)
_CONVERT = "a format that builders do not read; convert it to JPEG or PNG"
_SUBFILE_TYPE, _THUMBNAIL = 254, 1  # TIFF 6.0, NewSubfileType.
_DNG_VERSION = 50706  # Adobe DNG specification.


def has_photo_extension(name: str) -> bool:
    """Whether a file's name ends like that of a photo, of a supported format or not."""
    return name.lower().endswith(_SUPPORTED + _UNSUPPORTED)


def begins_like_photo(head: bytes) -> bool:
    """Whether the first `HEAD_BYTES` bytes of a file are those of a supported photo."""
    if head[4:8] == _BOX:
        return head[8:12] in _BRANDS
    return head.startswith(_SIGNATURES) or (head[:4], head[8:]) == (b"RIFF", b"WEBP")


def open_image(data: bytes) -> Image.Image:
    """Opens an image file, if it has one of the formats that builders read.

    Args:
      data: the bytes of the file.

    Returns:
      PIL image; its pixels are not decoded yet.

    Raises:
      PIL.UnidentifiedImageError: the file has another format or is damaged.
      Exception: Pillow's plug-ins raise various other errors for damaged files.
    """
    return Image.open(io.BytesIO(data), formats=_formats())


def why_unreadable(data: bytes) -> str:
    """Says why `open_image` does not open a file: its format, or what is damaged.

    Args:
      data: the bytes of the file.

    Returns:
      a predicate, such as "is empty", to follow the name of the file.
    """
    if not data:
        return "is empty"
    start = data.lstrip()[:20] if data[:1].isspace() else data[:20]
    for signature, name in _OTHERS:
        if start.startswith(signature):
            return f"is {name}, {_CONVERT}"
    for name in _formats():
        plugin, accept = Image.OPEN[name]
        # Plug-ins without a test of the first bytes accept any file.
        if accept is None or accept(data[:16]) is not True:
            continue
        try:
            plugin(io.BytesIO(data), "")
        except Exception as error:
            layout = f" ({_tiff_layout(data)})" if name == "TIFF" else ""
            return f"is a {name} file that cannot be read: {error}{layout}"
    return "is no image of a known format"


def why_raw(image: Image.Image) -> str:
    """Says why an opened TIFF file is not a usable photo; "" if it is, or is no TIFF.

    Raw files of cameras are TIFF files whose first picture is a thumbnail.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return ""
    tags = image.tag_v2
    if _DNG_VERSION in tags:
        return f"is a camera's raw file (DNG), {_CONVERT}"
    if tags.get(_SUBFILE_TYPE, 0) == _THUMBNAIL:
        return f"is a TIFF file that begins with a thumbnail (raw?), {_CONVERT}"
    return ""


def _tiff_layout(data: bytes) -> str:
    """Describes the pixel format of a TIFF file's first picture."""
    try:
        file = io.BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        photometric = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
    except Exception:
        return "its tags cannot be read"
    samples = " + ".join(str(count) for count in bits[:5])
    return f"{samples} bits per pixel, PhotometricInterpretation {photometric}"


@functools.cache
def register() -> None:
    """Registers Pillow's own plug-ins and the plug-in for HEIF."""
    # A viewer shows the picture of a HEIF file, not the thumbnails inside.
    pillow_heif.register_heif_opener(thumbnails=False)
    Image.init()


@functools.cache
def _formats() -> tuple[str, ...]:
    """The formats in `_FORMATS` that the installed Pillow supports."""
    register()
    return tuple(name for name in _FORMATS if name in Image.OPEN)
