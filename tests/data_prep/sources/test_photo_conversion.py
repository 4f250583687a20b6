import io
import os

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import EpsImagePlugin, Image, ImageCms

from data_prep.build.shards import SetAside
from data_prep.media import rgb_conversion
from data_prep.sources import photo_conversion
from data_prep.sources.nyu import depth_decoding

ORIENTATION = 0x0112


def _picture(height=48, width=64):
    """Returns a smooth color picture, uint8 [H, W, 3], redder to the right."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.round(255 * np.stack([x, y, 0.5 * (1 - x)], -1)).astype(np.uint8)


def _saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _jpeg(**options):
    return _saved(Image.fromarray(_picture()), "JPEG", quality=95, **options)


def _decoded(encoded):
    return tf.io.decode_image(encoded, channels=3, expand_animations=False).numpy()


def _mean_error(encoded, expected):
    pixels = _decoded(encoded).astype(int)
    assert pixels.shape == expected.shape
    return np.abs(pixels - expected).mean()


@pytest.mark.parametrize(
    "data",
    [
        _jpeg(),
        _jpeg(progressive=True),
        _jpeg(subsampling=0),
        _saved(Image.fromarray(_picture()).convert("L"), "JPEG"),
        _jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    ],
    ids=["baseline", "progressive", "444", "gray", "exif"],
)
def test_fit_jpegs_keep_their_bytes(data):
    encoded, width, height = photo_conversion.encode(data)
    assert encoded is data
    assert _decoded(encoded).shape == (height, width, 3) == (48, 64, 3)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_rotation_is_applied(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = _jpeg(exif=exif, subsampling=0)
    picture = _picture()
    # The turn that a viewer applies, in NumPy (EXIF 2.3, section 4.6.4).
    upright = {
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, -1),
        7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture),
    }[orientation]
    encoded, width, height = photo_conversion.encode(data)
    assert (height, width) == upright.shape[:2]
    assert _mean_error(encoded, upright) < 2
    assert Image.open(io.BytesIO(encoded)).getexif().get(ORIENTATION) is None


# An entry whose value is beyond the end of the data; a count that no EXIF data can hold;
# no TIFF header; a value of the wrong type.
BROKEN_EXIF = {
    "beyond": b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x09\xff\xff\xff\0",
    "count": b"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03\xff\xff\xff\xff\0\x06",
    "header": b"XXXXXXXXXXXX",
    "type": b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0a\0\0\0\0\0\0\0",
}


# A TIFF header and one entry: orientation 6.
ROTATED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("case", BROKEN_EXIF)
def test_broken_exif_is_upright(kind, case):
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True}
    exif = b"Exif\0\0" + BROKEN_EXIF[case]
    data = _saved(Image.fromarray(_picture()), kind, exif=exif, **options)
    encoded, width, height = photo_conversion.encode(data)
    assert (width, height) == (64, 48)
    assert _mean_error(encoded, _picture()) < 4
    assert (encoded is data) == (kind == "JPEG")


def _palette_png():
    return _saved(Image.fromarray(_picture()).quantize(256), "PNG")


def _animated(kind):
    frames = [Image.fromarray(_picture()), Image.new("RGB", (64, 48))]
    options = {"lossless": True} if kind == "WEBP" else {}
    return _saved(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=40, **options
    )


def _sixteen_bit(kind, channels):
    picture = _picture().astype(np.uint16) * 257
    picture = picture[..., 0] if channels == 1 else picture[..., ::-1]
    return cv2.imencode(kind, picture)[1].tobytes()


RGB_CASES = {
    "png": lambda: _saved(Image.fromarray(_picture()), "PNG"),
    "palette": _palette_png,
    "webp": lambda: _saved(Image.fromarray(_picture()), "WEBP", quality=95),
    "bmp": lambda: _saved(Image.fromarray(_picture()), "BMP"),
    "tiff": lambda: _saved(Image.fromarray(_picture()), "TIFF"),
    "animated gif": lambda: _animated("GIF"),
    "animated webp": lambda: _animated("WEBP"),
    "animated png": lambda: _animated("PNG"),
    "16-bit png": lambda: _sixteen_bit(".png", 3),
    "16-bit tiff": lambda: _sixteen_bit(".tiff", 3),
    "cmyk jpeg": lambda: _saved(
        Image.fromarray(_picture()).convert("CMYK"), "JPEG", quality=95
    ),
    "cmyk tiff": lambda: _saved(Image.fromarray(_picture()).convert("CMYK"), "TIFF"),
    "ycbcr tiff": lambda: _saved(
        Image.fromarray(_picture()).convert("YCbCr"), "TIFF", compression="jpeg"
    ),
}


@pytest.mark.parametrize("case", RGB_CASES)
def test_color_formats(case):
    encoded, width, height = photo_conversion.encode(RGB_CASES[case]())
    assert (width, height) == (64, 48)
    # A palette of 256 colors, which GIF has too, is the coarsest format.
    assert _mean_error(encoded, _picture()) < (9 if "gif" in case else 4)


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_sixteen_bit_gray(kind):
    encoded, _, _ = photo_conversion.encode(_sixteen_bit(kind, 1))
    gray = np.repeat(_picture()[..., :1], 3, axis=-1)
    assert _mean_error(encoded, gray) < 1


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_png(mode):
    image = Image.fromarray(_picture()).convert(mode)
    encoded, _, _ = photo_conversion.encode(_saved(image, "PNG"))
    assert _mean_error(encoded, np.asarray(image.convert("RGB"))) == 0


@pytest.mark.parametrize("case", ["rgba", "la", "palette", "gif", "rgb key"])
def test_transparent_pixels_become_white(case):
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, :32] = 255
    rgba = Image.fromarray(np.dstack([_picture() // 2, alpha]))
    keyed = np.where(alpha[..., None], _picture() // 2, (9, 8, 7))
    key = Image.fromarray(keyed.astype(np.uint8))
    data = {
        "rgba": lambda: _saved(rgba, "PNG"),
        "la": lambda: _saved(rgba.convert("LA"), "PNG"),
        "palette": lambda: _saved(rgba.quantize(200), "PNG"),
        "gif": lambda: _saved(rgba, "GIF"),
        "rgb key": lambda: _saved(key, "PNG", transparency=(9, 8, 7)),
    }[case]()
    pixels = _decoded(photo_conversion.encode(data)[0])
    assert (pixels[:, 33:] == 255).all()
    assert pixels[:, :31].max() < 140


def test_cmyk_with_a_profile_that_does_not_fit():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cmyk = Image.fromarray(_picture()).convert("CMYK")
    data = _saved(cmyk, "JPEG", quality=95, icc_profile=profile)
    assert _mean_error(photo_conversion.encode(data)[0], _picture()) < 4


def test_small_lossless_photos_stay_lossless():
    small, _, _ = photo_conversion.encode(_saved(Image.fromarray(_picture()), "PNG"))
    assert _mean_error(small, _picture()) == 0
    large = Image.fromarray(_picture(150, 200))
    assert photo_conversion.encode(_saved(large, "PNG"))[0].startswith(b"\xff\xd8\xff")


def test_max_side_shrinks():
    large = Image.fromarray(_picture(600, 800))
    data = _saved(large, "JPEG", quality=95)
    assert photo_conversion.encode(data, max_side=800)[0] is data
    encoded, width, height = photo_conversion.encode(data, max_side=200)
    assert (width, height) == (200, 150)
    assert _mean_error(encoded, _picture(150, 200)) < 2


@pytest.mark.parametrize(
    ("data", "name", "note"),
    [
        (RGB_CASES["png"](), "a/b.PNG", ""),
        (RGB_CASES["16-bit png"](), "b", ""),
        (RGB_CASES["png"](), "n02105855_2933.JPEG", "PNG named .JPEG"),
        (RGB_CASES["animated gif"](), "b.jpg", "GIF named .jpg"),
        (RGB_CASES["cmyk jpeg"](), "b.jpg", "CMYK, made RGB"),
        (RGB_CASES["cmyk tiff"](), "b.png", "TIFF named .png; CMYK, made RGB"),
        (_jpeg(exif=b"Exif\0\0" + ROTATED), "b.jpg", "rotated by EXIF, turned upright"),
    ],
)
def test_repairs_are_noted(data, name, note):
    records, noted, _ = photo_conversion.to_record(data, name, label=-1)
    assert len(records) == 1
    assert noted == note


def test_jpegs_that_tensorflow_cannot_read_are_encoded_again(monkeypatch):
    monkeypatch.setattr(photo_conversion, "_can_be_kept", lambda *_: False)
    data = _jpeg()
    _, note, _ = photo_conversion.to_record(data, "b.jpg", label=-1)
    assert note == "JPEG that TensorFlow does not read, encoded again"
    # Neither shrinking a photo nor keeping its bytes is a repair.
    assert not photo_conversion.to_record(data, "b.jpg", -1, max_side=50).note
    monkeypatch.undo()
    assert not photo_conversion.to_record(data, "b.jpg", -1).note


def test_files_too_large_for_their_pixels_are_refused():
    data = _jpeg() + bytes(17 << 20)
    with pytest.raises(SetAside, match="too large for 10000 pixels"):
        photo_conversion.encode(data, max_pixels=10_000)


def _truncated(data):
    return data[: len(data) * 2 // 3]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"Once upon a time", "no image of a known format"),
        (_truncated(_jpeg()), "is broken"),
        (_truncated(_jpeg(progressive=True)), "is broken"),
        (_truncated(RGB_CASES["png"]()), "is broken"),
        (_truncated(RGB_CASES["webp"]()), "cannot be read|is broken"),
        (_saved(Image.new("RGB", (400, 31)), "PNG"), "400x31 is under 32 pixels"),
        (_saved(Image.new("F", (40, 40)), "TIFF"), "floating-point"),
    ],
)
def test_unusable_images_are_set_aside(data, reason):
    with pytest.raises(SetAside, match=reason):
        photo_conversion.encode(data)


def test_no_other_program_reads_a_photo(tmp_path, monkeypatch):
    """Pillow starts `gs` for content that looks like PostScript, under any name."""
    started = tmp_path / "started"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    data = _saved(Image.fromarray(_picture()), "EPS")
    with pytest.raises(
        SetAside, match="is PostScript, a format that builders do not read"
    ):
        photo_conversion.to_record(data, "a.jpg", -1)
    with pytest.raises(SetAside, match="depth image: is PostScript"):
        depth_decoding.decode(data)
    assert photo_conversion.orientation(data) == 1
    assert not started.exists()


@pytest.mark.parametrize("kind", ["ICO", "PCX", "SGI", "TGA"])
def test_unsupported_formats_are_set_aside(kind):
    data = _saved(Image.fromarray(_picture()), kind)
    with pytest.raises(SetAside, match="no image of a known format"):
        photo_conversion.encode(data)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientations_are_upright(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert photo_conversion.orientation(_jpeg(exif=exif)) == 1


def _with_exif(kind, **options):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F] = "maker"
    return _saved(Image.fromarray(_picture()), kind, exif=exif, **options)


def _mutated(data, random):
    """Changes some bytes of `data`, most of them in the headers and EXIF."""
    mutated = bytearray(data)
    end = len(data) if random.random() < 0.4 else min(len(data), 200)
    for position in random.integers(0, end, random.integers(1, 4)):
        mutated[position] = random.integers(256)
    if random.random() < 0.1:
        del mutated[random.integers(1, len(mutated)) :]
    return bytes(mutated)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
    ],
)
def test_mutated_files_are_decodable_or_set_aside(kind, options):
    data = _with_exif(kind, **options)
    random = np.random.default_rng(7)
    used = 0
    for _ in range(300):
        try:
            encoded, width, height = photo_conversion.encode(_mutated(data, random))
        except SetAside as reason:
            assert str(reason)
            continue
        assert _decoded(encoded).shape == (height, width, 3)
        used += 1
    assert 0 < used < 300


def test_unexpected_errors_are_reasons(monkeypatch):
    def fail(image, data):
        raise AssertionError("by it")

    monkeypatch.setattr(rgb_conversion, "to_rgb", fail)
    with pytest.raises(SetAside, match="cannot be converted: AssertionError: by it"):
        photo_conversion.encode(RGB_CASES["png"]())


def test_bombs_are_refused_before_they_are_decoded():
    bomb = _saved(Image.new("1", (20000, 20000)), "PNG", compress_level=1)
    with pytest.raises(SetAside, match="20000x20000 is over the limit of 100000000"):
        photo_conversion.encode(bomb)
