"""Depth maps of many images in one .npz file."""

from __future__ import annotations

import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from selfsup.common import files
from selfsup.common.errors import UserError, error_reason

DEPTHS, KEYS = "depths", "keys"
_EXPECTED = (
    f'expected an .npz file with the array "{DEPTHS}", float [N, H, W] in metres, and '
    f'optionally "{KEYS}", N different strings'
)
# The exceptions that NumPy, its header parser and the zip reader raise on broken files.
_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


class DepthMaps(NamedTuple):
    """The content of a file.

    Attributes:
      depths: float16, float32 or float64 [N, H, W], metres.
      keys: N different strings, or None.
    """

    depths: npt.NDArray[np.floating[Any]]
    keys: tuple[str, ...] | None


def read(path: str) -> DepthMaps:
    """Reads a file of depth maps; never unpickles.

    Args:
      path: path of the file.

    Raises:
      UserError: when the file is not of the expected form.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if DEPTHS not in arrays:
                raise ValueError(f"has no array {DEPTHS}, but {', '.join(arrays)}")
            depths = arrays[DEPTHS]
            keys = arrays.get(KEYS)
    except _BROKEN as error:
        raise UserError(f"{path}: {error_reason(error)}; {_EXPECTED}") from error
    except (AttributeError, TypeError) as error:
        # np.load returns an array, which is not a context manager, for an .npy file.
        raise UserError(f"{path}: is a single array; {_EXPECTED}") from error
    if depths.ndim == 4 and depths.shape[-1] == 1:
        depths = depths[..., 0]
    if depths.ndim != 3 or depths.dtype.kind != "f" or not depths.size:
        raise UserError(
            f"{path}: {DEPTHS} is {depths.dtype} {depths.shape}; {_EXPECTED}"
        )
    return DepthMaps(
        depths, None if keys is None else _strings(path, keys, len(depths))
    )


def _strings(path: str, keys: npt.NDArray[Any], count: int) -> tuple[str, ...]:
    if keys.dtype.kind == "S":
        keys = np.char.decode(keys, "utf-8", "surrogateescape")
    valid = keys.dtype.kind == "U" and keys.shape == (count,)
    if not valid or len(np.unique(keys)) != len(keys):
        raise UserError(
            f"{path}: {KEYS} is {keys.dtype} {keys.shape}, for {count} depth maps, or "
            f"contains duplicates; {_EXPECTED}"
        )
    return tuple(files.as_utf8(key) for key in keys.tolist())
