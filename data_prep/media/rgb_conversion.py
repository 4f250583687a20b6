"""Converts decoded pixels of any kind to 8-bit RGB: 16 bits, transparency, CMYK.

For gray of more than 8 bits, Pillow returns the values that the file stores. This module
takes account of the file's bit depth, of whether its zero is white and of its transparent
value.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from data_prep.build.shards import SetAside

# Pillow's modes of gray of more than 8 bits.
MODES_16_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_WHITE = (255, 255, 255, 255)
_TRANSPARENT = "transparency"
_FULL_SCALE = 65535
_WHITE_IS_ZERO = 0  # TIFF 6.0, PhotometricInterpretation.
_UNSIGNED = 1  # TIFF 6.0, SampleFormat.
# Position in a PNG file of its number of bits per sample (PNG specification, 11.2.2 IHDR).
_PNG_DEPTH = 24


def to_rgb(image: Image.Image, data: bytes) -> Image.Image:
    """Copies an image as 8-bit RGB, with the colors that a viewer shows, not rotated.

    Composites transparent images over white, scales more than 8 bits to 8, and converts
    CMYK by its color profile, if it has one.

    Args:
      image: the result of `image_formats.open_image`, loaded.
      data: the bytes of the file.

    Raises:
      SetAside: the pixels are floating-point, signed or wider than 16 bits.
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
    """Whether an image is a TIFF file whose value 0 is white."""
    return _tiff_tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == (
        _WHITE_IS_ZERO
    )


def transparent_value(image: Image.Image) -> int | None:
    """The gray value that is transparent in an image of `MODES_16_BIT`, if any."""
    key = image.info.get(_TRANSPARENT)
    return key if isinstance(key, int) else None


def _from_gray(image: Image.Image) -> Image.Image:
    """RGB of gray of more than 8 bits.

    Raises:
      SetAside: a value is below 0 or above full scale, or its type is unknown.
    """
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


def _full_scale(image: Image.Image) -> int:
    """The value of full brightness (of black, if zero is white).

    Raises:
      SetAside: the values are signed or have more than 16 bits.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return _FULL_SCALE  # Pillow scales other formats to 16 bits.
    bits = _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
    signs = _tiff_tag(image, TiffImagePlugin.SAMPLEFORMAT, (_UNSIGNED,))[0]
    if bits > 16 or signs != _UNSIGNED:
        kind = "unsigned" if signs == _UNSIGNED else "signed"
        raise SetAside(f"holds {kind} integers of {bits} bits, not a photo")
    return (1 << bits) - 1


def _tiff_tag(image: Image.Image, tag: int, default: Any = None) -> Any:
    """Value of a TIFF file's tag; `default` for other formats and without the tag."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return default
    return image.tag_v2.get(tag, default)


def _as_decoded(
    key: int | bytes | tuple[int, ...], depth: int, mode: str
) -> int | bytes | tuple[int, ...]:
    """Converts a PNG file's transparent color to the scale of Pillow's pixels.

    Args:
      key: the color as the file stores it: gray, RGB, or the alpha of a palette.
      depth: the file's number of bits per sample.
      mode: Pillow's mode of the image.
    """
    full = (1 << depth) - 1
    if mode == "L" and isinstance(key, int):
        # Only as many bits of the value count as a sample has (PNG specification, tRNS).
        return (key & full) * 255 // full
    if mode == "RGB" and isinstance(key, tuple):
        return tuple(value & full for value in key)
    return key  # For a palette, or for one bit, Pillow scales it.


def _from_deep_color(data: bytes, size: tuple[int, int]) -> Image.Image:
    """RGB of a PNG file of 16 bits per channel with a transparent color.

    Pillow would compare only the upper 8 bits of the pixels with that color.

    Args:
      data: the bytes of the file.
      size: (width, height).

    Raises:
      SetAside: the file is damaged.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape != (size[1], size[0], 4):
        raise SetAside("is broken: its 16-bit colors cannot be decoded")
    rgb = (pixels[..., 2::-1].astype(np.uint32) + 128) // 257
    rgb[pixels[..., 3] == 0] = 255
    return Image.fromarray(rgb.astype(np.uint8))


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Converts CMYK to sRGB by its color profile; without it if the profile is bad."""
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        converted = None
    return image.convert("RGB") if converted is None else converted
