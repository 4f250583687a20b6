"""Damaged image files give a record that can be decoded, or a reason."""

import io
import resource
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep.build.shards import SetAside
from data_prep.media import image_formats
from data_prep.sources import photo_conversion
from selfsup.data import records

# Limits far above the inputs, and far below a decompression bomb.
MAX_PIXELS = 1_000_000
MEMORY_GROWTH = 600 << 20


# Pillow also writes HEIF once the plug-in is registered.
image_formats.register()


def _saved(kind, mode="RGB", size=(48, 40), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.convert(mode).save(file, kind, **options)
    return file.getvalue()


def _exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker" * 20
    return exif


JPEGS = {
    "baseline": lambda: _saved("JPEG", quality=90),
    "progressive": lambda: _saved("JPEG", progressive=True),
    "gray": lambda: _saved("JPEG", mode="L"),
    "cmyk": lambda: _saved("JPEG", mode="CMYK"),
    "exif": lambda: _saved("JPEG", exif=_exif(), comment=b"a comment"),
    "restarts": lambda: _saved("JPEG", restart_marker_rows=1, subsampling=0),
}
OTHERS = {
    "png": lambda: _saved("PNG"),
    "palette png": lambda: _saved("PNG", mode="P"),
    "gif": lambda: _saved("GIF"),
    "tiff": lambda: _saved("TIFF", compression="tiff_lzw"),
    "jpeg tiff": lambda: _saved("TIFF", compression="jpeg"),
    "bmp": lambda: _saved("BMP"),
    "webp": lambda: _saved("WEBP"),
    "jpeg 2000": lambda: _saved("JPEG2000"),
    "heif": lambda: _saved("HEIF", quality=80),
}


def _flip_bits(data, random):
    mutated = bytearray(data)
    for position in random.integers(0, len(data), random.integers(1, 9)):
        mutated[position] ^= 1 << random.integers(8)
    return mutated


def _change_header(data, random):
    mutated = bytearray(data)
    for position in random.integers(0, min(len(data), 200), random.integers(1, 5)):
        mutated[position] = random.integers(256)
    return mutated


def _truncate(data, random):
    return data[: random.integers(0, len(data))]


def _cut_out(data, random):
    begin, end = sorted(random.integers(0, len(data), 2))
    return data[:begin] + data[end:]


def _repeat(data, random):
    begin, end = sorted(random.integers(0, len(data), 2))
    return data[:end] + data[begin:end] * random.integers(1, 4) + data[end:]


def _splice(data, random):
    """Joins the beginning of this file and the end of another."""
    other = list(JPEGS.values())[random.integers(len(JPEGS))]()
    return data[: random.integers(len(data))] + other[random.integers(len(other)) :]


def _overwrite(data, random):
    begin = random.integers(0, len(data))
    noise = random.bytes(random.integers(1, 64))
    return data[:begin] + noise + data[begin + len(noise) :]


def _append(data, random):
    return data + random.bytes(random.integers(1, 400))


def _be_noise(data, random):
    """Returns noise after the signature of the format."""
    return data[: random.integers(0, 12)] + random.bytes(random.integers(0, 600))


def _claim_size(data, random):
    """Changes the size in the header of a JPEG or PNG."""
    mutated = bytearray(data)
    size = [int(random.integers(0, 1 << bits)) for bits in random.integers(1, 17, 2)]
    at = _frame_header(data)
    if at:
        mutated[at + 5 : at + 9] = struct.pack(">HH", *size)
    elif data.startswith(b"\x89PNG"):
        mutated[16:24] = struct.pack(">II", *size)
    return mutated


def _add_frame_header(data, random):
    """Gives a JPEG two frame headers, with different sizes."""
    at = _frame_header(data)
    if not at:
        return _flip_bits(data, random)
    length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    twin = bytearray(data[at : at + length])
    twin[5:9] = struct.pack(">HH", *random.integers(1, 65536, 2).tolist())
    pair = [bytes(twin), data[at : at + length]]
    random.shuffle(pair)
    return data[:at] + b"".join(pair) + data[at + length :]


def _frame_header(data):
    """Returns the position of a JPEG's SOF marker, or 0."""
    if not data.startswith(b"\xff\xd8"):
        return 0
    places = [data.find(bytes([0xFF, kind])) for kind in (0xC0, 0xC2)]
    return max(0, *places)


MUTATIONS = (
    _flip_bits, _change_header, _truncate, _cut_out, _repeat, _splice, _overwrite,
    _append, _be_noise, _claim_size, _add_frame_header,
)  # fmt: skip


def _decode(serialized):
    return records.parse(serialized, (records.IMAGE,))["image"].numpy()


def _check(data, outcomes):
    """Checks that a file gives a record of the size that it states, or a reason."""
    try:
        made = photo_conversion.to_record(data, "x.jpg", -1, 0, MAX_PIXELS)
    except SetAside as reason:
        assert str(reason).strip()
        outcomes["set aside"] += 1
        return
    (serialized,) = made.records
    feature = tf.train.Example.FromString(serialized).features.feature
    size = [feature[f"image/{n}"].int64_list.value[0] for n in ("height", "width")]
    image = _decode(serialized)
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8
    outcomes["used"] += 1


def _check_many(source, count, seed):
    """Checks `count` mutations of `source`, some of them two in a row."""
    outcomes = {"used": 0, "set aside": 0}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(count):
        random = np.random.default_rng([seed, index])
        data = bytes(MUTATIONS[index % len(MUTATIONS)](source, random))
        if data and random.random() < 0.25:
            data = bytes(MUTATIONS[random.integers(len(MUTATIONS))](data, random))
        try:
            _check(data, outcomes)
        except Exception as error:
            raise AssertionError(f"seed {[seed, index]}: {error!r}") from error
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MEMORY_GROWTH
    return outcomes


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", JPEGS)
def test_mutated_jpegs(kind):
    outcomes = _check_many(JPEGS[kind](), 1000, seed=1)
    assert min(outcomes.values()) > 20


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", OTHERS)
def test_mutated_images_of_other_formats(kind):
    outcomes = _check_many(OTHERS[kind](), 200, seed=2)
    assert min(outcomes.values()) > 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", [*JPEGS, *OTHERS])
def test_many_mutated_images(kind):
    source = {**JPEGS, **OTHERS}[kind]()
    outcomes = _check_many(source, 5000, seed=3)
    assert min(outcomes.values()) > 0
