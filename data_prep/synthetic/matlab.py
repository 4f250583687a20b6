"""MATLAB's file formats: 7.3, which is HDF5 behind a header, and 5, by SciPy.

Neither holds the time of its writing here: equal worlds are equal files.
"""

import h5py
import numpy as np
import scipy.io

_USERBLOCK = 512
_TEXT = 116
_DATE = "Thu Jan  1 00:00:00 1970"
_REFERENCES = "#refs#"


class Writer:
    """Writes arrays and cell arrays of text into a MATLAB 7.3 file; a context manager.

    MATLAB stores the last axis first: an array of H x W x N there is [N, W, H] here.
    """

    def __init__(self, path):
        self._path = path
        self._file = None
        self._count = 0

    def __enter__(self):
        self._file = h5py.File(
            self._path, "w", libver="earliest", userblock_size=_USERBLOCK
        )
        return self

    def __exit__(self, *exc_info):
        self._file.close()
        if exc_info[0] is None:
            with open(self._path, "r+b") as file:
                file.write(_header())

    def array(self, name, dtype, shape, blocks):
        """Writes a numeric array.

        Args:
          name: of the variable.
          dtype: "uint8" or "float32".
          shape: of the whole, in the file's order of axes.
          blocks: arrays that follow each other along the first axis.
        """
        dataset = self._file.create_dataset(name, shape, dtype)
        first = 0
        for block in blocks:
            dataset[first : first + len(block)] = block
            first += len(block)
        matlab_class = {"float32": "single"}.get(dtype, dtype)
        dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)

    def texts(self, name, values):
        """Writes an N x 1 cell array of texts, references to UTF-16 as MATLAB has them."""
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


def _header():
    """What tells MATLAB that this HDF5 file is one of its own: 128 bytes."""
    text = f"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: {_DATE} "
    text += "HDF5 schema 1.00 ."
    return text.encode("ascii").ljust(_TEXT) + bytes(8) + b"\x00\x02IM"


def write_splits(path, **columns):
    """Writes column vectors of doubles into a MATLAB 5 file."""
    variables = {
        name: np.asarray(values, np.float64)[:, None]
        for name, values in columns.items()
    }
    scipy.io.savemat(path, variables)
    text = f"MATLAB 5.0 MAT-file Platform: posix, Created on: {_DATE}"
    with open(path, "r+b") as file:
        file.write(text.encode("ascii").ljust(_TEXT))
