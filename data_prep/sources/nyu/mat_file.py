"""Reads the labelled set's files, nyu_depth_v2_labeled.mat and splits.mat, with care.

On a damaged file, the HDF5 library may crash, hang or ask for all memory. A builder's main
process therefore never calls this module: `labelled_listing` calls it in a child process,
and the worker processes of the build read the rows.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io

from selfsup.common.errors import UserError

IMAGES, FILLED_DEPTH, RAW_DEPTH, SCENES = "images", "depths", "rawDepths", "scenes"
_TRAIN, _TEST = "trainNdxs", "testNdxs"
# Limits of a frame, of an HDF5 chunk and of splits.mat (2.6 KB). A file that exceeds a
# limit is damaged.
_MAX_PIXELS = 25_000_000
_MAX_CHUNK_BYTES = 1 << 30
_MAX_SPLITS_BYTES = 1 << 20
_MAX_NAME = 1000
# HDF5 filters: deflate, shuffle, Fletcher's checksum and szip. Others may be plug-ins.
_FILTERS = {1, 2, 3, 4}


class Contents(NamedTuple):
    """The number and size of a labelled set's frames.

    Attributes:
      frames: number of frames.
      height, width: size of a frame in pixels.
    """

    frames: int
    height: int
    width: int


def describe(path: str, depth: str) -> Contents:
    """Checks the layout of a labelled set's file, without reading any pixels.

    Args:
      path: the .mat file.
      depth: `FILLED_DEPTH` or `RAW_DEPTH`; the file must contain it.

    Raises:
      UserError: the file is damaged or has another layout.
    """
    with _opened(path) as file:
        images = _dataset(file, path, IMAGES)
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
            raise UserError(
                f"{path}: {IMAGES!r} is {_kind(images)}, expected uint8 [frames, 3, "
                "width, height], as MATLAB stores it with -v7.3"
            )
        frames, _, width, height = images.shape
        depths = _dataset(file, path, depth)
        if depths.shape != (frames, width, height) or depths.dtype.kind != "f":
            raise UserError(
                f"{path}: {depth!r} is {_kind(depths)}, expected floating-point "
                f"[{frames}, {width}, {height}] as {IMAGES!r} is {_kind(images)}"
            )
        if not frames or not 0 < width * height <= _MAX_PIXELS:
            raise UserError(f"{path}: {frames} frames of {width}x{height} pixels")
        return Contents(frames, height, width)


def read_scenes(path: str, frames: int) -> tuple[str, ...]:
    """Returns the scene name of each frame.

    Args:
      path: the .mat file.
      frames: expected number of frames.

    Raises:
      UserError: the file is damaged or has another layout.
    """
    with _opened(path) as file:
        return _names(file, path, SCENES, frames)


def read_row(
    path: str, depth: str, row: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Reads one frame.

    Args:
      path: the .mat file.
      depth: `FILLED_DEPTH` or `RAW_DEPTH`.
      row: index of the frame, from 0.

    Returns:
      (photo, uint8 [H, W, 3] RGB; depth, floating-point [H, W] in metres, of the type
      that the file has, usually float32).

    Raises:
      UserError: the file is damaged or has another layout.
    """
    with _opened(path) as file:
        image = _dataset(file, path, IMAGES)[row]
        metres = _dataset(file, path, depth)[row]
    return np.ascontiguousarray(image.transpose(2, 1, 0)), metres.T


def read_splits(path: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Reads the official splits.

    Args:
      path: splits.mat, of any MATLAB version.

    Returns:
      (training frames, test frames): int64 [N] each, indices from 0 in the file's order.

    Raises:
      UserError: the file is damaged or has another layout.
    """
    _check_file(path)
    if os.path.getsize(path) > _MAX_SPLITS_BYTES:
        raise UserError(f"{path}: over {_MAX_SPLITS_BYTES} bytes: not a splits.mat")
    if h5py.is_hdf5(path):
        with _opened(path) as file:
            lists = {name: _short_list(file, path, name) for name in (_TRAIN, _TEST)}
    else:
        with _errors_as_damage(path):
            lists = scipy.io.loadmat(path, variable_names=(_TRAIN, _TEST))
    return _row_indices(path, lists, _TRAIN), _row_indices(path, lists, _TEST)


def _short_list(file: h5py.File, path: str, name: str) -> npt.ArrayLike:
    values = _dataset(file, path, name)
    # A damaged file may claim any number of values, of any size.
    if (
        values.dtype.kind not in "iuf"
        or not values.size
        or values.size * values.dtype.itemsize > _MAX_SPLITS_BYTES
    ):
        raise UserError(f"{path}: {name!r} is {_kind(values)}, not a list of indices")
    return values[()]


def _row_indices(
    path: str, lists: Mapping[str, npt.ArrayLike], name: str
) -> npt.NDArray[np.int64]:
    """Converts the list `name`, 1-based of any number type, to int64 [N] from 0."""
    if name not in lists:
        raise UserError(f"{path}: has no {name!r}; expected {_TRAIN!r} and {_TEST!r}")
    values = np.asarray(lists[name])
    # No set has 2 ** 31 frames, and larger values might overflow in the conversion.
    if (
        values.dtype.kind not in "iuf"
        or not np.all(np.abs(values) < 2.0**31)
        or np.any(values != np.floor(values))
    ):
        raise UserError(f"{path}: {name!r} is not a list of whole numbers")
    return values.ravel().astype(np.int64) - 1


def check_splits(
    path: str,
    train: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    frames: int,
) -> None:
    """Checks that each frame is in exactly one split.

    Args:
      path: splits.mat, for messages.
      train, test: int64 [N] each, indices of frames from 0.
      frames: number of frames.

    Raises:
      UserError: a frame is in both splits or in neither, or an index is out of range.
    """
    both = np.concatenate([train, test])
    outside = both[(both < 0) | (both >= frames)]
    if outside.size:
        raise UserError(
            f"{path}: {outside.size} indices are not in 1 to {frames}, the number of "
            f"frames ({outside[0] + 1}, ...)"
        )
    listed, times = np.unique(both, return_counts=True)
    if (times > 1).any():
        raise UserError(
            f"{path}: {(times > 1).sum()} frames are listed more than once, in one "
            f"split or both (frame {listed[times > 1][0] + 1}, ...)"
        )
    if len(listed) < frames:
        raise UserError(
            f"{path}: {len(train)} training and {len(test)} test frames leave "
            f"{frames - len(listed)} of {frames} out; does the file belong to another "
            "set?"
        )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[h5py.File]:
    """Opens an HDF5 file for reading; errors while it is open become `UserError`s."""
    _check_file(path)
    if not h5py.is_hdf5(path):
        raise UserError(
            f"{path}: is not a MATLAB 7.3 (HDF5) file; save it in MATLAB with "
            "save(..., '-v7.3')"
        )
    # Reading needs no lock, and some network file systems have none.
    with _errors_as_damage(path), h5py.File(path, "r", locking=False) as file:
        yield file


def _check_file(path: str) -> None:
    if not os.path.isfile(path):
        raise UserError(f"{path}: is not a file")


@contextlib.contextmanager
def _errors_as_damage(path: str) -> Iterator[None]:
    """Turns any exception of a parser into a `UserError` about a damaged file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path}: is damaged: {type(error).__name__}: {error}"
        ) from error


def _dataset(file: h5py.File, path: str, name: str) -> h5py.Dataset:
    """Returns the dataset `name`, which must be stored in this file."""
    link = file.get(name, getlink=True)
    if link is None:
        names = ", ".join(sorted(file)[:10])
        raise UserError(f"{path}: has no {name!r}; it has {names or 'nothing'}")
    if not isinstance(link, h5py.HardLink):
        raise UserError(f"{path}: {name!r} is a link; links are refused")
    return _checked(file[name], path, name)


def _checked(
    dataset: h5py.Dataset | h5py.Group | h5py.Datatype, path: str, name: str
) -> h5py.Dataset:
    """Returns `dataset` if it is an array that is safe to read."""
    if not isinstance(dataset, h5py.Dataset):
        raise UserError(f"{path}: {name!r} is not an array")
    if dataset.external or dataset.is_virtual:
        raise UserError(f"{path}: {name!r} refers to other files; they are not read")
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    if not filters <= _FILTERS:
        raise UserError(f"{path}: {name!r} is compressed in an unknown way")
    chunk = np.prod(dataset.chunks or (1,), dtype=float) * dataset.dtype.itemsize
    if chunk > _MAX_CHUNK_BYTES:
        raise UserError(f"{path}: {name!r} has chunks of {chunk:g} bytes")
    return dataset


def _names(file: h5py.File, path: str, name: str, frames: int) -> tuple[str, ...]:
    """Reads a MATLAB cell array of strings: references to arrays of UTF-16 codes."""
    references = _dataset(file, path, name)
    if references.size != frames or references.dtype != h5py.ref_dtype:
        raise UserError(
            f"{path}: {name!r} is {_kind(references)}, expected {frames} references"
        )
    return tuple(
        sys.intern(_text(file, path, name, reference))
        for reference in references[()].ravel()
    )


def _text(file: h5py.File, path: str, name: str, reference: h5py.Reference) -> str:
    codes = _checked(file[reference], path, name)
    if codes.dtype != np.uint16 or codes.size > _MAX_NAME:
        raise UserError(f"{path}: a string of {name!r} is {_kind(codes)}")
    return codes[()].ravel().astype("<u2").tobytes().decode("utf-16-le", "replace")


def _kind(dataset: h5py.Dataset) -> str:
    """Returns the type and shape of an array, for messages."""
    return f"{dataset.dtype} [{', '.join(map(str, dataset.shape or ()))}]"
