"""predictions.npz: predicted depth maps, as `eval.nyuv2_depth.score` reads them."""

import contextlib
import os
import zipfile

import numpy as np

from selfsup.data import files


class PredictionWriter:
    """Writes "keys", str [N], and "depths", float32 [N, H, W] in metres, one by one.

    NYU's 654 maps are 0.8 GB, more than has to be in memory at once. A context manager;
    the file is there only once `finish` was called.
    """

    def __init__(self, path, count):
        """
        Args:
          path: of the file.
          count: N.
        """
        self._path = path
        self._count = count
        self._temporary = files.temporary_name(path)
        self._keys = []
        self._shape = None
        self._depths = None
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._archive = self._stack.enter_context(
            zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_STORED, allowZip64=True)
        )
        return self

    def __exit__(self, *exc_info):
        self._stack.close()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._temporary)

    def finish(self):
        """Publishes the file: nothing can be added any more."""
        self._depths.close()
        with self._archive.open("keys.npy", "w") as keys:
            np.lib.format.write_array(keys, np.array(self._keys), allow_pickle=False)
        self._archive.close()
        files.publish(self._temporary, self._path)

    def add(self, key, depth):
        """Adds the map of the record `key`: float32 [H, W], metres.

        Raises:
          UserError: when it has another size than those before it.
        """
        if self._shape is None:
            self._shape = depth.shape
            self._depths = self._stack.enter_context(
                self._archive.open("depths.npy", "w", force_zip64=True)
            )
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
                "fortran_order": False,
                "shape": (self._count, *self._shape),
            }
            np.lib.format.write_array_header_1_0(self._depths, header)
        self._keys.append(key)
        self._depths.write(np.ascontiguousarray(depth, np.float32).tobytes())
