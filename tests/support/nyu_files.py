"""Writes files in the formats of NYU Depth v2, intact and damaged."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Sequence

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io

from data_prep.sources.nyu import labelled_listing, mat_file
from selfsup.common.errors import UserError

# Time stamp of the first frame, as in the raw distribution.
START = 1294886362.0


UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]


def labelled_arrays(
    frames: int = 6, height: int = 48, width: int = 64, seed: int = 0
) -> tuple[UInt8, Float32, Float32]:
    """Draws (images [N, H, W, 3], depths [N, H, W], raw depths [N, H, W])."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    depths = rng.uniform(0.7, 9.9, (frames, height, width)).astype(np.float32)
    return images, depths, np.where(rng.random(depths.shape) < 0.2, 0, depths)


def write_labelled(
    path: str | os.PathLike[str],
    images: UInt8,
    depths: Float32,
    raw_depths: Float32,
    scenes: Sequence[str] = (),
) -> str:
    """Writes a MATLAB 7.3 file: HDF5 after a header, with all arrays transposed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in (
            ("images", images.transpose(0, 3, 2, 1)),
            ("depths", depths.transpose(0, 2, 1)),
            ("rawDepths", raw_depths.transpose(0, 2, 1)),
        ):
            chunks = (1, *values.shape[1:])
            file.create_dataset(name, data=values, chunks=chunks, compression="gzip")
        cells = file.create_dataset("scenes", (1, len(scenes)), h5py.ref_dtype)
        for index, scene in enumerate(scenes):
            codes = np.frombuffer(scene.encode("utf-16-le"), "<u2")[:, None]
            cells[0, index] = file.create_dataset(f"#refs#/{index}", data=codes).ref
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    return str(path)


def write_splits(
    path: str | os.PathLike[str], train: Sequence[int], test: Sequence[int]
) -> str:
    """Writes splits.mat (MATLAB 5); indices count from 1."""
    columns = {"trainNdxs": train, "testNdxs": test}
    scipy.io.savemat(
        path, {k: np.array(v, np.uint16).reshape(-1, 1) for k, v in columns.items()}
    )
    return str(path)


def write_disparity(
    path: str | os.PathLike[str], disparity: npt.NDArray[np.uint16]
) -> None:
    """Writes disparity [H, W] like the raw distribution: little-endian PGM."""
    height, width = disparity.shape
    with open(path, "wb") as file:
        file.write(b"P5 %d %d 65535\n" % (width, height))
        file.write(disparity.astype("<u2").tobytes())


def write_photo(path: str | os.PathLike[str], photo: UInt8) -> None:
    """Writes a photo, uint8 [H, W, 3], as PPM."""
    height, width, _ = photo.shape
    with open(path, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (width, height))
        file.write(photo.tobytes())


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Changes some bytes of `data`, and sometimes cuts off the end."""
    changed = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, changed.size, 1 << rng.integers(0, 7))
    changed[places] ^= rng.integers(1, 256, places.size, dtype=np.uint8)
    if rng.random() < 0.2:
        changed = changed[: rng.integers(0, changed.size)]
    return changed.tobytes()


def read_all(paths: tuple[str, str]) -> Generator[object, None, int | str]:
    """A job of a worker pool: lists (labelled, splits) and reads every row.

    Returns:
      The number of rows, or a text that says what is wrong with the files.
    """
    yield paths
    try:
        labelled, splits = paths
        listing = yield from labelled_listing.answer(
            labelled_listing.Request(labelled, splits, "depths", with_scenes=True)
        )
        if isinstance(listing, str):
            return listing
        for row in range(listing.frames):
            image, depth = mat_file.read_row(labelled, "depths", row)
            assert image.shape == (*depth.shape, 3)
        return listing.frames
    except UserError as error:
        return str(error)
    finally:
        for path in paths:
            os.remove(path)


def end_process(request: object) -> Generator[object, None, None]:
    """A job of a worker pool in which the parser crashes."""
    yield request
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(request: object) -> Generator[object, None, None]:
    """A job of a worker pool in which the parser never returns."""
    yield request
    signal.pause()
