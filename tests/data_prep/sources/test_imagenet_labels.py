import gzip
import io
import struct
import tarfile
import zlib

import numpy as np
import pytest
import scipy.io

from data_prep.build import worker_pool
from data_prep.sources import imagenet_labels, imagenet_synsets
from selfsup.common.errors import UserError

WNIDS = ("n02119789", "n02100735", "n02110185")


def meta_mat(wnids=WNIDS):
    """Returns a meta.mat: synsets in the order of their ids, then an inner node."""
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "children")
    synsets = np.zeros((len(wnids) + 1, 1), dtype=[(name, "O") for name in names])
    for index, wnid in enumerate(wnids):
        synsets[index, 0] = (index + 1, wnid, "kit fox", 0, np.zeros((0,)))
    inner = (len(wnids) + 1, "n00001740", "entity", 2, np.array([1, 2]))
    synsets[-1, 0] = inner
    file = io.BytesIO()
    scipy.io.savemat(file, {"synsets": synsets})
    return file.getvalue()


def devkit(ids, wnids=WNIDS, leave_out="", format=tarfile.USTAR_FORMAT):
    """Returns an ILSVRC2012_devkit_t12.tar."""
    lines = "".join(f"{number}\n" for number in ids).encode()
    members = {
        "data/ILSVRC2012_validation_ground_truth.txt": lines,
        "data/meta.mat": meta_mat(wnids),
        "readme.txt": b"Read me",
    }
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for name, data in members.items():
            if not leave_out or leave_out not in name:
                member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def in_process(monkeypatch):
    """Parses meta.mat in this process, which saves a second per test."""
    monkeypatch.setattr(imagenet_synsets, "read", imagenet_synsets.parse)


@pytest.fixture
def read(tmp_path):
    """A function from the contents of the files to `GroundTruth`."""

    def read_contents(labels, synsets=None):
        path, other = tmp_path / "labels", tmp_path / "synsets"
        for file, content in ((path, labels), (other, synsets)):
            if isinstance(content, str):
                content = content.encode()
            if content is not None:
                file.write_bytes(content)
        return imagenet_labels.read_ground_truth(
            str(path), "" if synsets is None else str(other)
        )

    return read_contents


EXPECTED = (WNIDS[1], WNIDS[0], WNIDS[2], WNIDS[1])
WAYS = {
    "devkit": (gzip.compress(devkit([2, 1, 3, 2])), None),
    "unpacked devkit": (devkit([2, 1, 3, 2]), None),
    "ids and meta.mat": ("2\n1\n3\n2\n", meta_mat()),
    "ids and list": ("2\n1\n3\n2\n\n", "".join(f"{w}\n" for w in WNIDS)),
    "ids and words": ("2\r\n1\r\n3\r\n2", "".join(f"{w} kit fox, x\n" for w in WNIDS)),
    "wnids": ("".join(f"{w}\n" for w in EXPECTED), None),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_formats_give_the_same_labels(read, in_process, way):
    truth = read(*WAYS[way])
    assert truth.by_number == EXPECTED
    assert len(truth) == 4
    assert truth.classes == set(WNIDS)
    assert truth.class_of("val/ILSVRC2012_val_00000001.JPEG") == WNIDS[1]
    assert truth.class_of("ILSVRC2012_val_00000003.JPEG") == WNIDS[2]


def test_kaggles_solution(read):
    truth = read(
        "ImageId,PredictionString\n"
        f"ILSVRC2012_val_00000002,{WNIDS[0]} 1 2 3 4 {WNIDS[0]} 5 6 7 8 \n"
        f"ILSVRC2012_val_00000001,{WNIDS[2]} 1 2 3 4 \n"
    )
    assert truth.class_of("x/ILSVRC2012_val_00000001.JPEG") == WNIDS[2]
    assert truth.class_of("ILSVRC2012_val_00000002.JPEG") == WNIDS[0]
    assert len(truth) == 2
    with pytest.raises(KeyError, match="val_3 is not in labels"):
        truth.class_of("val_3.JPEG")


def test_images_without_a_label(read):
    truth = read("cat\ndog\n")
    assert truth.class_of("2.png") == "dog"
    with pytest.raises(KeyError, match="image number 3, but labels has 2 lines"):
        truth.class_of("val_0003.JPEG")
    with pytest.raises(KeyError, match="image number 0"):
        truth.class_of("0.JPEG")
    with pytest.raises(KeyError, match="image number 999"):
        truth.class_of("9" * 5000 + ".JPEG")
    with pytest.raises(KeyError, match="name does not end in a number"):
        truth.class_of("cover.JPEG")


SORTED = "".join(f"n{number:08d}\n" for number in range(1000))
REFUSED = {
    "empty": (b"", None, "is empty"),
    "blank": ("\n\n", None, "no lines of text"),
    "binary": (b"\xff\xfe\x00\x01", None, "is not a text file; expected"),
    "zeros": (b"\0" * 600, None, "is not a text file; expected"),
    "no synsets": ("1\n2\n", None, "holds ILSVRC2012_IDs.*give meta.mat .* as synsets"),
    "sorted synsets": ("1\n", SORTED, "is sorted by WNID"),
    "unknown id": (
        "1\n9\n",
        meta_mat(),
        "line 2: ILSVRC2012_ID 9, but .* has 4, 1 to 4",
    ),
    "id 0": ("0\n", meta_mat(), "line 1: ILSVRC2012_ID 0"),
    "no id": ("1\nn02119789\n", meta_mat(), "line 2: 'n02119789', expected an ILS"),
    "gap": ("1\n\n2\n", meta_mat(), "line 2 is blank"),
    "broken mat": ("1\n", meta_mat()[:300], "not a meta.mat with `synsets`"),
    "cut devkit": (
        gzip.compress(devkit([1]))[:200],
        None,
        "is broken, or not an archive",
    ),
    "no archive": (gzip.compress(b"text"), None, "is broken, or not an archive"),
    "no truth": (
        devkit([1], leave_out="truth"),
        None,
        "does not contain ILSVRC2012_validation_ground_truth.txt",
    ),
    "no meta": (devkit([1], leave_out="meta"), None, "does not contain meta.mat"),
    "bomb": (gzip.compress(bytes(65 << 20)), None, "over 64 MiB unpacked"),
    "solution": (
        "ImageId,PredictionString\na,b\n",
        None,
        "line 2: expected image,WNID",
    ),
    "no csv": ("ImageId,x\na,n02119789 " + "9" * 200000, None, "is not a CSV file"),
    "long id": ("1\n" + "9" * 5000, meta_mat(), "line 2: '999.*expected an ILSVRC"),
    "no solution": ("ImageId,PredictionString\n", None, "no image after"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused(read, in_process, case):
    labels, synsets, message = REFUSED[case]
    with pytest.raises(UserError, match=message):
        read(labels, synsets)


def test_missing_and_large_files_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: cannot be read"):
        imagenet_labels.read_ground_truth(str(tmp_path / "nowhere"))
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(UserError, match="over 64 MiB: not a list of labels"):
        imagenet_labels.read_ground_truth(str(large))


def test_meta_mat_is_read_in_a_child(read):
    assert read(*WAYS["devkit"]).by_number == EXPECTED


def test_a_meta_mat_cannot_take_all_memory(read):
    """The file has a megabyte, and declares 2 GiB."""
    zeros = zlib.compress(_element(14, _array_header(1 << 28) + bytes(1 << 20)))
    assert len(zeros) < 1 << 20
    file = io.BytesIO()
    scipy.io.savemat(file, {})
    cells = file.getvalue()[:128] + struct.pack("<II", 15, len(zeros)) + zeros
    with pytest.raises(UserError, match=r"not a meta\.mat with `synsets`.*MemoryError"):
        read("1\n", cells)


def _element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _array_header(count):
    """Returns the header of a MATLAB 5 cell array, `synsets`, of `count` cells."""
    return (
        _element(6, struct.pack("<II", 1, 0))
        + _element(5, struct.pack("<ii", count, 1))
        + _element(1, b"synsets")
    )


@pytest.mark.parametrize("pax", [False, True])
def test_sparse_members_are_refused(read, pax):
    """A sparse file of 2 KB may declare any number of bytes."""
    member = tarfile.TarInfo("data/meta.mat")
    if pax:
        member.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.map": "0,0",
            "GNU.sparse.size": str(12 << 30),
        }
        header = member.tobuf(tarfile.PAX_FORMAT)
    else:
        member.type = tarfile.GNUTYPE_SPARSE
        block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
        block[483:494] = b"%011o" % (8 << 30)
        block[148:156] = (
            b"%06o\0 " % tarfile.calc_chksums(block[:148] + b" " * 8 + block[156:])[0]
        )
        header = bytes(block)
    whole = devkit([1], leave_out="meta")
    with pytest.raises(UserError, match=r"meta\.mat is stored as a sparse file"):
        read(header + whole)


@pytest.fixture
def kept_child(monkeypatch):
    """Reads all meta.mat files in the same child, until a file crashes it."""
    members, run = [], worker_pool.run

    def run_kept(work, jobs, workers, limit):
        return run(work, jobs, workers, limit, members)

    monkeypatch.setattr(worker_pool, "run", run_kept)
    yield
    worker_pool.stop_workers(members)


def test_mutated_devkits_are_read_or_refused(read, kept_child):
    """The mutations change meta.mat, the lists and the archive around them."""
    whole = devkit([2, 1, 3, 2])
    random = np.random.default_rng(5)
    used = 0
    for _ in range(150):
        mutated = bytearray(whole)
        for position in random.integers(0, len(whole), random.integers(1, 12)):
            mutated[position] = random.integers(256)
        if random.random() < 0.2:
            del mutated[random.integers(600, len(mutated)) :]
        try:
            truth = read(bytes(mutated))
        except UserError:
            continue
        assert all(isinstance(name, str) for name in truth.by_number)
        used += 1
    assert 0 < used < 150
