"""Converts a photo file to a record: upright, three channels, 8 bits per channel.

The content of a file decides its format; its name does not. A JPEG that training can
read keeps its bytes. Every other image is decoded once and encoded again. The result is
what a viewer shows: turned as EXIF says, scaled to 8 bits, with transparent pixels over
white.

TensorFlow is imported inside functions, because only worker processes need it.
"""

from __future__ import annotations

import dataclasses
import io
import os
from typing import NamedTuple

from PIL import Image, JpegImagePlugin

from data_prep.build.inputs import Input
from data_prep.build.shards import Converted, SetAside
from data_prep.media import image_formats, image_repair, rgb_conversion

JPEG_QUALITY = 95
MIN_SIDE = 32
MAX_PIXELS = 100_000_000
# A photo that takes longer is set aside; 100 million pixels take seconds.
_MIN_SECONDS = 120
_PIXELS_PER_SECOND = 500_000
# Photos from lossless files stay lossless up to this area: in so small an image, JPEG's
# 8x8 blocks would be clearly visible.
_SMALL_AREA = 128 * 128
_LOSSLESS = {"PNG", "GIF", "BMP", "TIFF", "PPM", "DIB"}
_EXIF_ORIENTATION = 0x0112
# The transposition that turns an image upright, by EXIF orientation (EXIF 2.3, section
# 4.6.4).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_METADATA_BYTES = 16 << 20

# `_convert` applies its own limit, with a clear reason, before it decodes any pixels.
Image.MAX_IMAGE_PIXELS = None


@dataclasses.dataclass(frozen=True)
class PhotoConverter:
    """Converts a photo file to a record; a `shards.Converter`.

    Attributes:
      directory: the input folder.
      labels: class names, matched with the first folder of a photo's path; empty for
        an unlabelled set.
      max_side: photos whose longer side exceeds this are shrunk; 0 keeps all sizes.
      max_pixels: images with more pixels are refused before they are decoded.
    """

    directory: str
    labels: tuple[str, ...] = ()
    max_side: int = 0
    max_pixels: int = MAX_PIXELS

    def __call__(self, item: Input) -> Converted:
        """Converts one photo.

        Args:
          item: an `Input` whose key is a path relative to `directory`.

        Returns:
          `Converted` with one record, and a note if the photo had to be repaired.

        Raises:
          SetAside: the photo cannot be used; the message is the reason.
        """
        label = self._label(item.key)
        with open(os.path.join(self.directory, item.key), "rb") as file:
            data = file.read(byte_limit(self.max_pixels) + 1)
        return to_record(data, item.key, label, self.max_side, self.max_pixels)

    def _label(self, key: str) -> int:
        """Returns the class index of a photo; -1 in an unlabelled set."""
        if not self.labels:
            return -1
        folder = key.split(os.sep)[0]
        if folder not in self.labels:
            raise SetAside("is not in a class folder")
        return self.labels.index(folder)


def to_record(
    data: bytes,
    key: str,
    label: int,
    max_side: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Converted:
    """Converts the bytes of an image file to a record.

    Args:
      data, max_side, max_pixels: see `convert`.
      key: name of the input; its extension says which format to expect.
      label: class index; -1 for none.

    Returns:
      `Converted` with one record, and a note if the photo had to be repaired.

    Raises:
      SetAside: see `convert`.
    """
    from selfsup.data import records

    photo = convert(data, key, max_side, max_pixels)
    record = records.serialize(
        key=key,
        encoded=photo.encoded,
        height=photo.height,
        width=photo.width,
        label=label,
    )
    return Converted([record], photo.note)


def describe_options(max_side: int, max_pixels: int) -> dict[str, int]:
    """Returns the options of a conversion, as a manifest stores them."""
    return {
        "max_side": max_side,
        "max_pixels": max_pixels,
        "min_side": MIN_SIDE,
        "jpeg_quality": JPEG_QUALITY,
    }


def time_limit(max_pixels: int) -> float:
    """Returns the seconds that converting a photo of up to `max_pixels` may take."""
    return max(_MIN_SECONDS, max_pixels / _PIXELS_PER_SECOND)


def byte_limit(max_pixels: int) -> int:
    """Returns the largest file size to read: four 16-bit channels and metadata."""
    return 8 * max_pixels + _METADATA_BYTES


def orientation(data: bytes) -> int:
    """Returns the EXIF orientation of an image file, 1 to 8.

    The result is 1 (upright) if the file has no orientation, an invalid orientation, or
    cannot be read.
    """
    try:
        return _orientation(image_formats.open_image(data))
    except Exception:
        return 1


class EncodedPhoto(NamedTuple):
    """An image in the form that a record holds.

    Attributes:
      encoded: JPEG or PNG bytes of the upright image; the original bytes of the file
        where training can read them.
      width, height: size in pixels.
      note: what was wrong with the file; "" if nothing was, or if the bytes changed only
        because of the file's format or size.
    """

    encoded: bytes
    width: int
    height: int
    note: str


class _Broken(SetAside):
    """The file cannot be opened or decoded without a repair."""


def encode(
    data: bytes, max_side: int = 0, max_pixels: int = MAX_PIXELS
) -> tuple[bytes, int, int]:
    """Returns (encoded, width, height) of the result of `convert`."""
    return convert(data, "", max_side, max_pixels)[:3]


def convert(
    data: bytes, name: str, max_side: int = 0, max_pixels: int = MAX_PIXELS
) -> EncodedPhoto:
    """Converts the bytes of an image file to the form that a record holds.

    Args:
      data: bytes of an image file.
      name: name of the file, or "". If its extension names another format than the
        content has, the note says so.
      max_side: images whose longer side exceeds this are shrunk; 0 for no limit.
      max_pixels: limit of width x height.

    Returns:
      `EncodedPhoto`; its `encoded` is `data` itself where the bytes can be kept.

    Raises:
      SetAside: the image is unreadable, broken, too large or too small. No other
        exception is raised for any content of `data`.
    """
    limit = byte_limit(max_pixels)
    if len(data) > limit:
        raise SetAside(f"has over {limit} bytes: too large for {max_pixels} pixels")
    try:
        return _convert_or_mend(data, name, max_side, max_pixels)
    except SetAside:
        raise
    except Exception as error:
        # Pillow's plug-ins raise exceptions of any type on damaged files.
        raise SetAside(
            f"cannot be converted: {type(error).__name__}: {error}"
        ) from error


def turn_upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Returns `pixels`, decoded from an opened `image`, turned as EXIF says."""
    turn = _TURNS.get(_orientation(image))
    return pixels if turn is None else pixels.transpose(turn)


def _convert_or_mend(
    data: bytes, name: str, max_side: int, max_pixels: int
) -> EncodedPhoto:
    """Converts an image; if it is broken, repairs it first."""
    try:
        return _convert(data, name, max_side, max_pixels)
    except _Broken:
        mended, fault = image_repair.repair(data)
        if not mended:
            raise
    photo = _convert(mended, name, max_side, max_pixels)
    return photo._replace(note="; ".join(filter(None, (photo.note, fault))))


def _convert(data: bytes, name: str, max_side: int, max_pixels: int) -> EncodedPhoto:
    try:
        image = image_formats.open_image(data)
    except Exception as error:
        raise _Broken(image_formats.why_unreadable(data)) from error
    width, height = image.size
    if width * height > max_pixels:
        raise SetAside(f"{width}x{height} is over the limit of {max_pixels} pixels")
    if min(width, height) < MIN_SIDE:
        raise SetAside(f"{width}x{height} is under {MIN_SIDE} pixels on a side")
    raw = image_formats.why_raw(image)
    if raw:
        raise SetAside(raw)
    note = _note(image, name, max_side)
    if _can_be_kept(image, data, max_side):
        return EncodedPhoto(data, width, height, "")
    if image_repair.lacks_end_marker(data):
        # Pillow invents missing pixels if any bytes follow the image data.
        raise _Broken("is broken: the JPEG data end before the image is complete")
    photo = turn_upright(rgb_conversion.to_rgb(_load(image, max_side), data), image)
    photo = _shrink(photo, max_side)
    return EncodedPhoto(_compress(photo, image.format), *photo.size, note)


def _note(image: Image.Image, name: str, max_side: int) -> str:
    """Returns the `EncodedPhoto.note` of an image whose bytes are not kept."""
    is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    kind = "JPEG" if is_jpeg else image.format
    extension = os.path.splitext(name)[1]
    expected = Image.registered_extensions().get(extension.lower(), kind)
    notes = []
    if kind != expected:
        notes.append(f"{kind} named {extension}")
    if image.mode == "CMYK":
        notes.append("CMYK, made RGB")
    if is_jpeg and _orientation(image) != 1:
        notes.append("rotated by EXIF, turned upright")
    shrunk = max_side and max(image.size) > max_side
    if is_jpeg and not notes and not shrunk:
        notes.append("JPEG that TensorFlow does not read, encoded again")
    return "; ".join(notes)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        # EXIF data can be broken in many ways; the pixels are not affected.
        return 1
    return int(value) if value in range(2, 9) else 1


def _can_be_kept(image: Image.Image, data: bytes, max_side: int) -> bool:
    """Whether training can read the file itself: a whole, upright gray or RGB JPEG."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return False
    if image.mode not in ("L", "RGB") or (max_side and max(image.size) > max_side):
        return False
    if _orientation(image) != 1:
        return False
    import tensorflow as tf

    try:
        # Compare sizes before decoding: TensorFlow might read a much larger size from
        # the header than Pillow does, and no limit would apply to it.
        height, width, _ = tf.io.extract_jpeg_shape(data).numpy()
        if (width, height) != image.size:
            return False
        tf.io.decode_jpeg(data, channels=3)
    except tf.errors.OpError:
        return False
    return True


def _load(image: Image.Image, max_side: int) -> Image.Image:
    """Decodes the first frame of an opened image."""
    try:
        if max_side and isinstance(image, JpegImagePlugin.JpegImageFile):
            # The JPEG decoder can produce a fraction of the full size directly.
            image.draft(image.mode, (max_side, max_side))
        image.load()
    except Exception as error:
        raise _Broken(f"is broken: {error}") from error
    return image


def _shrink(photo: Image.Image, max_side: int) -> Image.Image:
    if not max_side or max(photo.size) <= max_side:
        return photo
    scale = max_side / max(photo.size)
    width, height = (max(1, round(scale * side)) for side in photo.size)
    if min(width, height) < MIN_SIDE:
        raise SetAside(f"shrunk to {width}x{height}, under {MIN_SIDE} on a side")
    return photo.resize((width, height), Image.Resampling.LANCZOS)


def _compress(photo: Image.Image, source_format: str | None) -> bytes:
    file = io.BytesIO()
    if source_format in _LOSSLESS and photo.width * photo.height <= _SMALL_AREA:
        photo.save(file, "PNG")
    else:
        # Colorization learns from color, so the chroma channels keep full resolution.
        photo.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()
