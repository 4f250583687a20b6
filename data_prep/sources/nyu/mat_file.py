"""The labelled set's files: nyu_depth_v2_labeled.mat and splits.mat, read with care.

The HDF5 library may crash, hang or ask for all memory on a damaged file, so nothing
here runs in a builder's own process: `labelled_listing` calls it in a child, and rows are
read by the writer's workers.
"""

import contextlib
import os
from typing import NamedTuple

import h5py
import numpy as np
import scipy.io

from selfsup.common.errors import UserError

IMAGES, FILLED_DEPTH, RAW_DEPTH, SCENES = "images", "depths", "rawDepths", "scenes"
_TRAIN, _TEST = "trainNdxs", "testNdxs"
# Of a row, of a chunk and of splits.mat (2.6 KB): what is larger is damaged.
_MAX_PIXELS = 25_000_000
_MAX_CHUNK_BYTES = 1 << 30
_MAX_SPLITS_BYTES = 1 << 20
_MAX_NAME = 1000
# Deflate, shuffle, Fletcher's checksum, szip: no others, which may be plug-ins.
_FILTERS = {1, 2, 3, 4}


class Contents(NamedTuple):
    """What a labelled set holds.

    Attributes:
      frames: number of frames.
      height, width: their size in pixels.
    """

    frames: int
    height: int
    width: int


def describe(path, depth):
    """Checks that the file is as it should be, without reading its pixels.

    Args:
      path: the .mat file.
      depth: `FILLED_DEPTH` or `RAW_DEPTH`; it must be there.

    Returns:
      `Contents`.

    Raises:
      UserError: the file is not what it should be.
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


def read_scenes(path, frames):
    """The scene's name of every frame, a tuple of `frames` str.

    Raises:
      UserError: the file is not what it should be.
    """
    with _opened(path) as file:
        return _names(file, path, SCENES, frames)


def read_row(path, depth, row):
    """Reads one frame.

    Args:
      path: the .mat file.
      depth: `FILLED_DEPTH` or `RAW_DEPTH`.
      row: index from 0.

    Returns:
      (uint8 [H, W, 3] RGB, float [H, W] metres).
    """
    with _opened(path) as file:
        image = _dataset(file, path, IMAGES)[row]
        metres = _dataset(file, path, depth)[row]
    return np.ascontiguousarray(image.transpose(2, 1, 0)), metres.T


def read_splits(path):
    """Reads the official splits.

    Args:
      path: splits.mat, of any MATLAB version.

    Returns:
      (train, test): int64 [N] each, row indices from 0, in the file's order.

    Raises:
      UserError: the file is not what it should be.
    """
    _check_file(path)
    if os.path.getsize(path) > _MAX_SPLITS_BYTES:
        raise UserError(f"{path}: over {_MAX_SPLITS_BYTES} bytes is no splits.mat")
    if h5py.is_hdf5(path):
        with _opened(path) as file:
            found = {name: _short_list(file, path, name) for name in (_TRAIN, _TEST)}
    else:
        with _told(path):
            found = scipy.io.loadmat(path, variable_names=(_TRAIN, _TEST))
    return _row_indices(path, found, _TRAIN), _row_indices(path, found, _TEST)


def _short_list(file, path, name):
    values = _dataset(file, path, name)
    # A file without data may claim any number of them, of any size.
    if (
        values.dtype.kind not in "iuf"
        or not values.size
        or values.size * values.dtype.itemsize > _MAX_SPLITS_BYTES
    ):
        raise UserError(f"{path}: {name!r} is {_kind(values)}, no list of indices")
    return values[()]


def _row_indices(path, found, name):
    """The variable `name`, 1-based of any number type, as int64 [N] from 0."""
    if name not in found:
        raise UserError(f"{path}: has no {name!r}; expected {_TRAIN!r} and {_TEST!r}")
    values = np.asarray(found[name])
    # Beyond 2 ** 31 a conversion could wrap around; no set is that large.
    if (
        values.dtype.kind not in "iuf"
        or not np.all(np.abs(values) < 2.0**31)
        or np.any(values != np.floor(values))
    ):
        raise UserError(f"{path}: {name!r} is no list of whole numbers")
    return values.ravel().astype(np.int64) - 1


def check_splits(path, train, test, frames):
    """Raises `UserError` unless every frame is in exactly one of the splits."""
    both = np.concatenate([train, test])
    wild = both[(both < 0) | (both >= frames)]
    if wild.size:
        raise UserError(
            f"{path}: {wild.size} indices are not in 1 to {frames}, the frames that "
            f"there are ({wild[0] + 1}, ...)"
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
            f"{frames - len(listed)} of {frames} out; it belongs to another set?"
        )


@contextlib.contextmanager
def _opened(path):
    """The HDF5 file at `path`, to read; what goes wrong with it is a `UserError`."""
    _check_file(path)
    if not h5py.is_hdf5(path):
        raise UserError(
            f"{path}: is no MATLAB 7.3 (HDF5) file; in MATLAB, save(..., '-v7.3') "
            "makes one"
        )
    # Not locked: it is only read, and some network file systems have no locks.
    with _told(path), h5py.File(path, "r", locking=False) as file:
        yield file


def _check_file(path):
    if not os.path.isfile(path):
        raise UserError(f"{path}: is no file")


@contextlib.contextmanager
def _told(path):
    """Whatever a parser raises is told as the file's fault."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path}: is damaged: {type(error).__name__}: {error}"
        ) from error


def _dataset(file, path, name):
    """The dataset `name`, all of it in this very file."""
    link = file.get(name, getlink=True)
    if link is None:
        names = ", ".join(sorted(file)[:10])
        raise UserError(f"{path}: has no {name!r}; it has {names or 'nothing'}")
    if not isinstance(link, h5py.HardLink):
        raise UserError(f"{path}: {name!r} is a link, which is not followed")
    return _checked(file[name], path, name)


def _checked(dataset, path, name):
    if not isinstance(dataset, h5py.Dataset):
        raise UserError(f"{path}: {name!r} is no array")
    if dataset.external or dataset.is_virtual:
        raise UserError(f"{path}: {name!r} lies in other files, which are not read")
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    if not filters <= _FILTERS:
        raise UserError(f"{path}: {name!r} is compressed in an unknown way")
    chunk = np.prod(dataset.chunks or (1,), dtype=float) * dataset.dtype.itemsize
    if chunk > _MAX_CHUNK_BYTES:
        raise UserError(f"{path}: {name!r} comes in chunks of {chunk:g} bytes")
    return dataset


def _names(file, path, name, frames):
    """A MATLAB cell array of strings: references to arrays of UTF-16 codes."""
    references = _dataset(file, path, name)
    if references.size != frames or references.dtype != h5py.ref_dtype:
        raise UserError(
            f"{path}: {name!r} is {_kind(references)}, expected {frames} references"
        )
    found = {}
    return tuple(
        found.setdefault(text, text)
        for text in (_text(file, path, name, r) for r in references[()].ravel())
    )


def _text(file, path, name, reference):
    codes = _checked(file[reference], path, name)
    if codes.dtype != np.uint16 or codes.size > _MAX_NAME:
        raise UserError(f"{path}: a string of {name!r} is {_kind(codes)}")
    return codes[()].ravel().astype("<u2").tobytes().decode("utf-16-le", "replace")


def _kind(dataset):
    return f"{dataset.dtype} [{', '.join(map(str, dataset.shape or ()))}]"
