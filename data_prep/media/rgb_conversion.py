"""Decoded pixels of any kind to 8-bit RGB: 16 bits, transparency, CMYK.

Pillow gives gray of more than 8 bits as the file has it, whatever the file says about
its depth, its zero and its transparent value. These are looked at here.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from data_prep.build.shards import SetAside

# Modes in which Pillow gives gray of more than 8 bits.
MODES_16_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_WHITE = (255, 255, 255, 255)
_TRANSPARENT = "transparency"
_FULL = 65535
_WHITE_IS_ZERO = 0  # TIFF 6.0, PhotometricInterpretation.
_UNSIGNED = 1  # TIFF 6.0, SampleFormat.
# Where a PNG file says its bits a sample (PNG specification, 11.2.2 IHDR).
_PNG_DEPTH = 24


def to_rgb(image: Image.Image, data: bytes) -> Image.Image:
    """An 8-bit RGB copy of a loaded PIL image, as a viewer shows it, not turned.

    Transparency is laid over white, more than 8 bits are scaled to 8, and CMYK goes
    through its color profile where it has one.

    Args:
      image: as `image_formats.open_image` gives it, loaded.
      data: the file's bytes.

    Raises:
      SetAside: its values are no tones.
    """
    if image.mode in MODES_16_BIT:
        return _from_gray(image)
    if image.mode == "F":
        raise SetAside("holds floating-point values, not a photo")
    key = image.info.get(_TRANSPARENT)
    if key is not None and isinstance(image, PngImagePlugin.PngImageFile):
        depth = data[_PNG_DEPTH]
        if depth == 16:
            return _from_deep_color(data, image.size)
        image.info[_TRANSPARENT] = _as_decoded(key, depth, image.mode)
    if image.mode in _ALPHA_MODES or key is not None:
        image = image.convert("RGBA")
        return Image.alpha_composite(
            Image.new("RGBA", image.size, _WHITE), image
        ).convert("RGB")
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK" and profile:
        return _through_profile(image, profile)
    return image.convert("RGB")


def is_white_zero(image: Image.Image) -> bool:
    """Whether an image is a TIFF file that says that its zero is white."""
    return _tiff_tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == (
        _WHITE_IS_ZERO
    )


def transparent_value(image: Image.Image) -> int | None:
    """The gray value that is transparent in an image of `MODES_16_BIT`, or None."""
    key = image.info.get(_TRANSPARENT)
    return key if isinstance(key, int) else None


def _from_gray(image):
    """RGB of gray of more than 8 bits."""
    full = _full_scale(image)
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > full:
        raise SetAside(f"holds values beyond 0 to {full}, not a photo")
    gray = (values * 255 + full // 2) // full
    if is_white_zero(image):
        gray = 255 - gray
    key = transparent_value(image)
    if key is not None:
        gray[values == key] = 255
    return Image.fromarray(gray.astype(np.uint8)).convert("RGB")


def _full_scale(image):
    """The value of full brightness (of black, where zero is white)."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return _FULL  # Pillow scales other formats to 16 bits.
    bits = _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
    signs = _tiff_tag(image, TiffImagePlugin.SAMPLEFORMAT, (_UNSIGNED,))[0]
    if bits > 16 or signs != _UNSIGNED:
        kind = "unsigned" if signs == _UNSIGNED else "signed"
        raise SetAside(f"holds {kind} integers of {bits} bits, not a photo")
    return (1 << bits) - 1


def _tiff_tag(image, tag, default=None):
    """A tag of a TIFF file, `default` in other formats and without the tag."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return default
    return image.tag_v2.get(tag, default)


def _as_decoded(key, depth, mode):
    """A PNG file's transparent color in the values that Pillow decodes pixels to."""
    full = (1 << depth) - 1
    if mode == "L":
        # Of a value only the bits of the depth count (PNG specification, tRNS).
        return (key & full) * 255 // full
    if mode == "RGB":
        return tuple(value & full for value in key)
    return key  # Of a palette, or of one bit, which Pillow scales.


def _from_deep_color(data, size):
    """RGB of a PNG file of 16 bits a channel with a transparent color.

    Pillow has but the upper 8 bits when it compares pixels with that color.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape != (size[1], size[0], 4):
        raise SetAside("is broken: its 16-bit colors cannot be decoded")
    rgb = (pixels[..., 2::-1].astype(np.uint32) + 128) // 257
    rgb[pixels[..., 3] == 0] = 255
    return Image.fromarray(rgb.astype(np.uint8))


def _through_profile(image, profile):
    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
