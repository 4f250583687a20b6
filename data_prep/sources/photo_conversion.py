"""One photo of any kind to one record: upright, 8 bits, three channels.

A file's content decides what it is, never its name. What training can read as it is
keeps its bytes; all else is decoded once, carefully, and encoded again. A record holds
what a viewer shows: turned by EXIF, scaled to 8 bits, transparency on white.

TensorFlow is imported late: the worker processes need it, not their parent.
"""

from __future__ import annotations

import dataclasses
import io
import os
from typing import NamedTuple

from PIL import Image, JpegImagePlugin

from data_prep.build.shards import Converted, SetAside
from data_prep.media import image_formats, image_repair, rgb_conversion

JPEG_QUALITY = 95
MIN_SIDE = 32
# Up to this area a photo from a lossless file stays lossless: JPEG's 8x8 blocks
# would be a large part of what there is to see.
_SMALL_AREA = 128 * 128
_LOSSLESS = {"PNG", "GIF", "BMP", "TIFF", "PPM", "DIB"}
_EXIF_ORIENTATION = 0x0112
# What turns an image upright, by its EXIF orientation (EXIF 2.3, section 4.6.4).
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

# The limit is ours: it is checked, with a reason given, before pixels are decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclasses.dataclass(frozen=True)
class PhotoConverter:
    """Turns photo files into records; a `writer.build` convert function.

    Attributes:
      directory: the input folder.
      labels: class names, matched with the first folder of a photo's path; empty for
        an unlabelled set.
      max_side: longer side above which photos are shrunk; 0 keeps all sizes.
      max_pixels: larger images are refused before they are decoded.
    """

    directory: str
    labels: tuple = ()
    max_side: int = 0
    max_pixels: int = 100_000_000

    def __call__(self, item):
        """Returns `Converted`: the photo's one record, and what was repaired.

        Args:
          item: an `Input` whose key is a path in `directory`.

        Raises:
          SetAside: it cannot be used; says why.
        """
        label = self._label(item.key)
        with open(os.path.join(self.directory, item.key), "rb") as file:
            data = file.read(byte_limit(self.max_pixels) + 1)
        return to_record(data, item.key, label, self.max_side, self.max_pixels)

    def _label(self, key):
        """Class index, or -1 in an unlabelled set."""
        if not self.labels:
            return -1
        folder = key.split(os.sep)[0]
        if folder not in self.labels:
            raise SetAside("lies in no class folder")
        return self.labels.index(folder)


def to_record(data, key, label, max_side=0, max_pixels=100_000_000):
    """Makes the record of an image file.

    Args:
      data, max_side, max_pixels: as in `convert`.
      key: the input's name, whose extension says what the file should be.
      label: class index, or -1.

    Returns:
      `Converted`: one record, and what had to be repaired.

    Raises:
      SetAside: as `convert`.
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


def byte_limit(max_pixels):
    """Size of the largest image file that is read: four channels of 16 bits."""
    return 8 * max_pixels + _METADATA_BYTES


def orientation(data):
    """EXIF's orientation of an image file, 1 to 8.

    1, upright, where there is none, it is none of these, or it cannot be read.
    """
    try:
        return _orientation(image_formats.open_image(data))
    except Exception:
        return 1


class Photo(NamedTuple):
    """An image that is fit for a record.

    Attributes:
      encoded: JPEG or PNG bytes, upright: the file's own where they can be kept.
      width, height: in pixels.
      note: what was wrong with the file; "" where its format, or its size, is the only
        reason why its bytes were not kept.
    """

    encoded: bytes
    width: int
    height: int
    note: str


class _Broken(SetAside):
    """The file cannot be opened or decoded as it is."""


def encode(
    data: bytes, max_side: int = 0, max_pixels: int = 100_000_000
) -> tuple[bytes, int, int]:
    """(encoded, width, height) of the `Photo` that `convert` makes."""
    return convert(data, "", max_side, max_pixels)[:3]


def convert(
    data: bytes, name: str, max_side: int = 0, max_pixels: int = 100_000_000
) -> Photo:
    """Makes an image file's bytes fit for a record.

    Args:
      data: bytes of an image file.
      name: its name, whose extension says what it should be, or "".
      max_side: longer side above which it is shrunk; 0 for no limit.
      max_pixels: limit of width x height.

    Returns:
      `Photo`, whose `encoded` is `data` itself where it can be kept.

    Raises:
      SetAside: the image is unreadable, broken, too large or too small; nothing else
        is raised, whatever the bytes.
    """
    limit = byte_limit(max_pixels)
    if len(data) > limit:
        raise SetAside(f"has over {limit} bytes: too large for {max_pixels} pixels")
    try:
        return _convert_or_mend(data, name, max_side, max_pixels)
    except SetAside:
        raise
    except Exception as error:
        # Pillow's plug-ins raise whatever their parsing runs into.
        raise SetAside(
            f"cannot be converted: {type(error).__name__}: {error}"
        ) from error


def upright(photo: Image.Image, image: Image.Image) -> Image.Image:
    """`photo`, made of the pixels of an opened `image`, turned as EXIF has it."""
    turn = _TURNS.get(_orientation(image))
    return photo if turn is None else photo.transpose(turn)


def _convert_or_mend(data, name, max_side, max_pixels):
    try:
        return _convert(data, name, max_side, max_pixels)
    except _Broken:
        mended, fault = image_repair.repair(data)
        if not mended:
            raise
    photo = _convert(mended, name, max_side, max_pixels)
    return photo._replace(note="; ".join(filter(None, (photo.note, fault))))


def _convert(data, name, max_side, max_pixels):
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
        return Photo(data, width, height, "")
    if image_repair.lacks_end_marker(data):
        # Pillow fills up what pixels lack where any bytes come after.
        raise _Broken("is broken: JPEG data that ends before the picture does")
    photo = upright(rgb_conversion.to_rgb(_load(image, max_side), data), image)
    photo = _shrink(photo, max_side)
    return Photo(_compress(photo, image.format), *photo.size, note)


def _note(image, name, max_side):
    """What is wrong with an image whose bytes are not kept, as in `Photo`."""
    is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    kind = "JPEG" if is_jpeg else image.format
    extension = os.path.splitext(name)[1]
    named = Image.registered_extensions().get(extension.lower(), kind)
    notes = []
    if kind != named:
        notes.append(f"{kind} named {extension}")
    if image.mode == "CMYK":
        notes.append("CMYK, made RGB")
    if is_jpeg and _orientation(image) != 1:
        notes.append("rotated by EXIF, turned upright")
    shrunk = max_side and max(image.size) > max_side
    if is_jpeg and not notes and not shrunk:
        notes.append("JPEG that TensorFlow does not read, encoded again")
    return "; ".join(notes)


def _orientation(image):
    try:
        found = image.getexif().get(_EXIF_ORIENTATION)
    except Exception:
        # EXIF is broken in many ways, none of which harms the pixels.
        return 1
    return int(found) if found in range(2, 9) else 1


def _can_be_kept(image, data, max_side):
    """Whether training reads this very file: an upright JPEG, whole, gray or RGB."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return False
    if image.mode not in ("L", "RGB") or (max_side and max(image.size) > max_side):
        return False
    if _orientation(image) != 1:
        return False
    import tensorflow as tf

    try:
        # First: were TensorFlow to see another size, it might be one without limit.
        height, width, _ = tf.io.extract_jpeg_shape(data).numpy()
        if (width, height) != image.size:
            return False
        tf.io.decode_jpeg(data, channels=3)
    except tf.errors.OpError:
        return False
    return True


def _load(image, max_side):
    """Decodes the first frame."""
    try:
        if max_side and isinstance(image, JpegImagePlugin.JpegImageFile):
            # JPEGs decode straight to a fraction of their size.
            image.draft(image.mode, (max_side, max_side))
        image.load()
    except Exception as error:
        raise _Broken(f"is broken: {error}") from error
    return image


def _shrink(photo, max_side):
    if not max_side or max(photo.size) <= max_side:
        return photo
    scale = max_side / max(photo.size)
    size = [max(1, round(scale * side)) for side in photo.size]
    if min(size) < MIN_SIDE:
        raise SetAside(f"shrunk to {size[0]}x{size[1]}, under {MIN_SIDE} on a side")
    return photo.resize(size, Image.Resampling.LANCZOS)


def _compress(photo, source_format):
    file = io.BytesIO()
    if source_format in _LOSSLESS and photo.width * photo.height <= _SMALL_AREA:
        photo.save(file, "PNG")
    else:
        # Full chroma resolution: color is what colorization learns from.
        photo.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()
