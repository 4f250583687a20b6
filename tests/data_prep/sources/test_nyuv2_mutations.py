"""Mutated files of NYU Depth v2 may neither end nor block the builder's process."""

import collections
import functools
import pathlib

import numpy as np
import nyu_files
import pytest

from data_prep.build import worker_pool
from data_prep.build.shards import SetAside
from data_prep.sources.nyu import depth_decoding, labelled_listing, pnm
from selfsup.common.errors import UserError

ROWS = 3


def _mutated_files(folder, count, seed):
    """Yields `count` pairs of (labelled, splits); one file of each is mutated."""
    arrays = nyu_files.labelled_arrays(ROWS, 6, 8)
    labelled = nyu_files.write_labelled(folder / "l.mat", *arrays, ["a_1"] * ROWS)
    splits = nyu_files.write_splits(folder / "s.mat", [1, 3], [2])
    rng = np.random.default_rng(seed)
    for index in range(count):
        contents = [pathlib.Path(path).read_bytes() for path in (labelled, splits)]
        mutated = index % 3 == 0
        contents[mutated] = nyu_files.mutate(contents[mutated], rng)
        paths = tuple(str(folder / f"{index}{name}.mat") for name in "ls")
        for path, data in zip(paths, contents):
            pathlib.Path(path).write_bytes(data)
        yield paths


def _read_mutated(folder, count, seed):
    """Yields the outcome per pair: number of rows read, a reason, or a pool event."""
    jobs = collections.deque(_mutated_files(folder, count, seed))
    for event in worker_pool.run(nyu_files.read_all, jobs, 1, limit=20):
        if isinstance(event, worker_pool.JobResult):
            yield event.value
        elif not isinstance(event, worker_pool.StepReport):
            assert event.job is not None
            yield event


def _check_mutated_mat_files(folder, count, seed):
    outcomes = list(_read_mutated(folder, count, seed))
    assert len(outcomes) == count
    reasons = [outcome for outcome in outcomes if isinstance(outcome, str)]
    # Only the pool sees what a native parser does to its process.
    ended = [outcome for outcome in outcomes if not isinstance(outcome, (str, int))]
    assert len(ended) < 0.05 * count
    assert len(reasons) > 0.3 * count
    assert all(".mat: " in reason for reason in reasons)


def test_mutated_mat_files(tmp_path):
    _check_mutated_mat_files(tmp_path, 300, seed=1)


@pytest.mark.slow
def test_thousands_of_mutated_mat_files(tmp_path):
    _check_mutated_mat_files(tmp_path, 5000, seed=2)


def test_a_file_that_ends_its_reader_is_reported(monkeypatch):
    request = labelled_listing.Request("bad.mat", "s.mat", "depths")
    monkeypatch.setattr(labelled_listing, "answer", nyu_files.end_process)
    with pytest.raises(UserError, match=r"bad\.mat: is damaged.*killed by SIGSEGV"):
        labelled_listing.list_labelled(request)


def test_a_file_that_blocks_its_reader_is_reported(monkeypatch):
    request = labelled_listing.Request("bad.mat", "s.mat", "depths")
    monkeypatch.setattr(labelled_listing, "answer", nyu_files.hang)
    with pytest.raises(
        UserError, match=r"bad\.mat: is damaged: reading it takes more than"
    ):
        labelled_listing.list_labelled(request, seconds=0.5)


def _picture(kind):
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 65536, (12, 16), dtype=np.uint16)
    if kind == "pgm":
        return b"P5 # a comment\n16 12\n65535\n" + steps.astype(">u2").tobytes()
    if kind == "ppm":
        return b"P6 16 4 255\n" + steps.astype(">u2").tobytes()[: 16 * 4 * 3]
    import cv2

    return cv2.imencode(f".{kind}", steps)[1].tobytes()


def _check_mutated_pictures(decode, data, count, seed):
    decode(data)
    rng = np.random.default_rng(seed)
    read = 0
    for _ in range(count):
        try:
            values = decode(nyu_files.mutate(data, rng))
        except SetAside as reason:
            assert str(reason)
            continue
        assert values.dtype in (np.uint8, np.uint16) and values.size
        read += 1
    assert 0 < read < count


@pytest.mark.parametrize("kind", ["pgm", "ppm"])
def test_mutated_pgm_and_ppm_files(kind):
    _check_mutated_pictures(pnm.decode, _picture(kind), 1000, seed=3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
def test_mutated_depth_images(kind):
    _check_mutated_pictures(depth_decoding.decode, _picture(kind), 500, seed=4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
def test_thousands_of_mutated_depth_images(kind):
    check = functools.partial(_check_mutated_pictures, depth_decoding.decode)
    check(_picture(kind), 5000, seed=5)
