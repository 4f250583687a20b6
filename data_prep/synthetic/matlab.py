"""Writes MATLAB files: version 7.3, which is HDF5 after a header, and version 5.

Both headers get a fixed date, so that equal worlds give equal files.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io

from data_prep.synthetic.arrays import Floats, UInt8

_USERBLOCK = 512
_TEXT = 116
_DATE = "Thu Jan  1 00:00:00 1970"
_REFERENCES = "#refs#"


class Writer:
    """Writes arrays and cell arrays of text into a MATLAB 7.3 file.

    To be used in a `with` statement. MATLAB stores the last axis first: an array that
    is H x W x N in MATLAB is [N, W, H] here.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._file = h5py.File(path, "w", libver="earliest", userblock_size=_USERBLOCK)
        self._count = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None:
            with open(self._path, "r+b") as file:
                file.write(_header())

    def array(
        self,
        name: str,
        dtype: str,
        shape: tuple[int, ...],
        blocks: Iterable[UInt8 | Floats],
    ) -> None:
        """Writes a numeric array.

        Args:
          name: name of the variable.
          dtype: "uint8" or "float32".
          shape: shape of the whole array, in the file's order of axes.
          blocks: the pieces of the array along its first axis, in order.
        """
        dataset = self._file.create_dataset(name, shape, dtype)
        first = 0
        for block in blocks:
            dataset[first : first + len(block)] = block
            first += len(block)
        matlab_class = {"float32": "single"}.get(dtype, dtype)
        dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)

    def texts(self, name: str, values: Sequence[str]) -> None:
        """Writes an N x 1 cell array of texts: references to UTF-16, as MATLAB does."""
        group = self._file.require_group(_REFERENCES)
        references = np.empty((1, len(values)), h5py.ref_dtype)
        for index, value in enumerate(values):
            codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)
            text = group.create_dataset(f"t{self._count}", data=codes[:, None])
            text.attrs["MATLAB_class"] = np.bytes_("char")
            text.attrs["MATLAB_int_decode"] = np.int32(2)
            references[0, index] = text.ref
            self._count += 1
        cell = self._file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")


def _header() -> bytes:
    """The 128 bytes by which MATLAB recognises a file of version 7.3."""
    text = f"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: {_DATE} "
    text += "HDF5 schema 1.00 ."
    return text.encode("ascii").ljust(_TEXT) + bytes(8) + b"\x00\x02IM"


def write_splits(path: pathlib.Path, **columns: npt.NDArray[np.integer[Any]]) -> None:
    """Writes column vectors of doubles, by variable name, into a MATLAB 5 file."""
    variables = {
        name: np.asarray(values, np.float64)[:, None]
        for name, values in columns.items()
    }
    scipy.io.savemat(path, variables)
    text = f"MATLAB 5.0 MAT-file Platform: posix, Created on: {_DATE}"
    with open(path, "r+b") as file:
        file.write(text.encode("ascii").ljust(_TEXT))
