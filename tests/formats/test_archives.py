import gzip
import io
import os
import tarfile
import tracemalloc

import numpy as np
import pytest

from selfsup.common.errors import UserError
from selfsup.formats import archives

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}


def _member(name, kind=tarfile.REGTYPE, size=0, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, link
    return member


def _tar(members, format=tarfile.USTAR_FORMAT):
    """Bytes of a tar file of (name, data) pairs and of `TarInfo`s without data."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                name, data = member
                tar.addfile(_member(name, size=len(data)), io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def listed(tmp_path):
    """Function from an archive's bytes to ({name: data}, {name: problem})."""

    def list_all(data, **options):
        path = tmp_path / "outer.tar"
        path.write_bytes(data)
        good, bad = {}, {}
        for entry in archives.entries(str(path), **options):
            if entry.problem:
                bad[entry.name] = entry.problem
            else:
                good[entry.name] = archives.read(str(path), entry.offset, entry.size)
        return good, bad

    return list_all


@pytest.mark.parametrize("format", FORMATS)
def test_members_are_read_in_place(listed, format):
    files = [("a.jpg", b"one"), ("b/c.jpg", bytes(range(256)) * 8), ("empty", b"")]
    folder = _member("b", tarfile.DIRTYPE)
    good, bad = listed(_tar([folder, *files], FORMATS[format]))
    assert (good, bad) == (dict(files), {})


@pytest.mark.parametrize("format", ["gnu", "pax"])
def test_long_and_foreign_names(listed, format):
    files = {"long/" * 60 + "name.jpg": b"1", "käse/猫.jpg": b"2", "after": b"3"}
    link = _member("link", tarfile.SYMTYPE, link="to/" * 60)
    good, bad = listed(_tar([link, *files.items()], FORMATS[format]))
    assert (good, bad) == (files, {})


def test_a_tar_in_a_tar_is_a_folder(listed):
    inner = {f"n{index:08d}": _tar([("x.JPEG", b"%d" % index)]) for index in range(3)}
    outer = _tar([*((name + ".tar", data) for name, data in inner.items())])
    good, bad = listed(outer)
    assert good == {f"n{index:08d}/x.JPEG": b"%d" % index for index in range(3)}
    assert not bad
    shallow, _ = listed(outer, descend=False)
    assert shallow == {name + ".tar": data for name, data in inner.items()}


def test_a_tar_in_a_tar_in_a_tar(listed):
    data = _tar([("x", b"deep")])
    for level in "cba":
        data = _tar([(f"{level}.tar", data), (level, b"flat")])
    assert listed(data)[0] == {
        "a/b/c/x": b"deep",
        "a/b/c": b"flat",
        "a/b": b"flat",
        "a": b"flat",
    }


def test_nesting_is_limited(listed):
    data = _tar([("x", b"deep")])
    for _ in range(200):
        data = _tar([("t.tar", data)])
    good, bad = listed(data)
    assert not good
    assert list(bad.values()) == ["is a tar nested too deeply: not opened"]


def test_hostile_members(listed):
    good, bad = listed(
        _tar(
            [
                ("../../x", b"up"),
                ("/abs", b"root"),
                ("a/../../b", b"up too"),
                ("./", b"nameless"),
                _member("link", tarfile.SYMTYPE, link="/etc"),
                ("link/passwd", b"under a link"),
                _member("hard", tarfile.LNKTYPE, link="link/passwd"),
                _member("device", tarfile.CHRTYPE),
                _member("pipe", tarfile.FIFOTYPE),
                ("./last//one", b"fine"),
            ]
        )
    )
    # "link/passwd" is only a name: nothing is read through the link.
    assert good == {"link/passwd": b"under a link", "last/one": b"fine"}
    assert bad == {
        "../../x": "has a name that leaves its folder",
        "/abs": "has an absolute name",
        "a/../../b": "has a name that leaves its folder",
        "./": "has no name",
    }


def test_duplicates_are_all_listed(tmp_path):
    path = tmp_path / "twice.tar"
    path.write_bytes(_tar([("x", b"1"), ("x", b"22")]))
    assert [(e.name, e.size) for e in archives.entries(str(path))] == [
        ("x", 1),
        ("x", 2),
    ]


def test_sparse_files_are_reported(listed):
    sparse = _member("sparse.jpg", tarfile.GNUTYPE_SPARSE)
    pax = _member("pax.jpg")
    pax.pax_headers = {"GNU.sparse.major": "1"}
    _, bad = listed(_tar([sparse, pax], tarfile.PAX_FORMAT))
    assert bad == dict.fromkeys(["sparse.jpg", "pax.jpg"], "is stored as a sparse file")


WHOLE = _tar([("a", b"a" * 600), ("b", b"b" * 600), ("c", b"c")])


@pytest.mark.parametrize(
    ("end", "names", "problem"),
    [
        (512 + 100, [], {"a": "is cut off: the archive ends 500 bytes before its end"}),
        (512 + 600, ["a"], {"outer.tar": "cut off at byte 1536"}),
        (1536, ["a"], {"outer.tar": "no end mark: cut off at byte 1536"}),
        (1536 + 99, ["a"], {"outer.tar": "cut off at byte 1536, in a header"}),
        (3072 + 513, ["a", "b", "c"], {"outer.tar": "no end mark"}),
    ],
)
def test_truncated_archives(listed, end, names, problem):
    good, bad = listed(WHOLE[:end])
    assert list(good) == names
    first, message = next(iter(problem.items()))
    assert message in bad[first]


def test_a_truncated_inner_archive_does_not_reach_its_neighbour(listed):
    good, bad = listed(_tar([("in.tar", WHOLE[:1600]), ("next.tar", WHOLE)]))
    assert list(good) == ["in/a", "next/a", "next/b", "next/c"]
    assert list(bad) == ["in.tar"]


def test_the_undamaged_part_of_an_inner_archive_is_listed(listed):
    outer = _tar([("first.tar", WHOLE), ("second.tar", WHOLE)])
    cut = outer[: len(WHOLE) + 1024 + 1536 + 700]
    good, bad = listed(cut)
    assert list(good) == ["first/a", "first/b", "first/c", "second/a"]
    assert list(bad.items()) == [
        ("second/b", "is cut off: the archive ends 412 bytes before its end")
    ]
    good, bad = listed(cut, descend=False)
    assert list(good) == ["first.tar"]
    assert list(bad) == ["second.tar"]
    assert bad["second.tar"].startswith(archives.CUT_OFF)


def test_inner_files_that_are_not_tars(listed):
    noise = np.random.default_rng(0).bytes(2000)
    good, bad = listed(_tar([("n.tar", noise), ("e.tar", b""), ("x", b"1")]))
    assert good == {"x": b"1"}
    assert bad == {"n.tar": "is not a tar file", "e.tar": "is empty"}


def test_a_broken_header_ends_the_archive(listed):
    broken = bytearray(WHOLE)
    broken[1536 + 3] ^= 0xFF
    good, bad = listed(bytes(broken))
    assert list(good) == ["a"]
    assert "is broken at byte 1536" in bad["outer.tar"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "outer.tar: is empty; expected a tar"),
        (gzip.compress(WHOLE), r"is compressed \(gzip\).*gunzip it first"),
        (b"PK\x03\x04" + WHOLE, r"is compressed \(zip\)"),
        (np.random.default_rng(1).bytes(4096), "outer.tar: is not a tar file"),
        (WHOLE[:100], "outer.tar: is not a tar file"),
    ],
    ids=["empty", "gzip", "zip", "random", "short"],
)
def test_other_files_are_refused(listed, data, message):
    with pytest.raises(UserError, match=message):
        listed(data)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.tar: cannot be read"):
        list(archives.entries(str(tmp_path / "nowhere.tar")))
    with pytest.raises(UserError, match="cannot be read"):
        list(archives.entries(str(tmp_path)))


def test_reading_beyond_the_end(tmp_path):
    path = tmp_path / "short.tar"
    path.write_bytes(b"123")
    assert archives.read(str(path), 1, 2) == b"23"
    with pytest.raises(OSError, match="ends before byte 9"):
        archives.read(str(path), 1, 8)


def test_an_empty_archive_has_no_members(listed):
    assert listed(_tar([])) == ({}, {})


def test_invalid_pax_headers(listed):
    """Sizes are beyond the file, negative or not numbers; records overrun."""
    whole = bytearray(_tar([("é" * 80, b"data")], tarfile.PAX_FORMAT))
    start = whole.index(b" path=") - 3
    for length in (b"999", b"-12", b"abc", b"0  "):
        invalid = bytearray(whole)
        invalid[start : start + 3] = length
        good, bad = listed(bytes(invalid))
        assert not good
        assert "is broken" in bad["outer.tar"]


def test_mutated_archives(listed):
    """Every archive is listed, reported as broken or refused."""
    inner = _tar([("x" * 120, b"1" * 700), ("y", b"2")], tarfile.GNU_FORMAT)
    pax = _tar([("é" * 90, b"3")], tarfile.PAX_FORMAT)
    whole = _tar([("in.tar", inner), ("p.tar", pax), ("z", b"4")])
    random = np.random.default_rng(3)
    outcomes = {"good": 0, "bad": 0, "refused": 0}
    for _ in range(1500):
        mutated = bytearray(whole)
        for position in random.integers(0, len(whole), random.integers(1, 6)):
            mutated[position] = random.integers(256)
        del mutated[random.integers(1, 4 * len(whole)) :]
        try:
            good, bad = listed(bytes(mutated))
        except UserError:
            outcomes["refused"] += 1
            continue
        outcomes["bad" if bad else "good"] += 1
        assert all(len(data) <= len(mutated) for data in good.values())
    assert min(outcomes.values()) > 0


def test_memory_does_not_grow_with_the_members(tmp_path):
    path = str(tmp_path / "many.tar")
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in range(20000):
            tar.addfile(_member(f"{index % 10}/{index}.jpg"))
            tar.members.clear()

    tracemalloc.start()
    try:
        count = sum(1 for _ in archives.entries(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20000
    assert peak < 300_000


def test_listing_does_not_read_the_data(tmp_path):
    """A sparse file of 64 GiB with one header at each end is listed immediately."""
    path = str(tmp_path / "large.tar")
    first = _member("first", size=64 << 30)
    with open(path, "wb") as file:
        file.write(first.tobuf(tarfile.GNU_FORMAT))
        file.seek(64 << 30, os.SEEK_CUR)
        file.write(_tar([("second", b"2")]))
    assert [e.name for e in archives.entries(path)] == ["first", "second"]
