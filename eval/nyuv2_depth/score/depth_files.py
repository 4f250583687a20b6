"""Depth maps of many images in one .npz file."""

import zipfile
import zlib
from typing import Any, NamedTuple, Optional

import numpy as np

from selfsup.common import files
from selfsup.common.errors import UserError

DEPTHS, KEYS = "depths", "keys"
_EXPECTED = (
    f'expected .npz with the array "{DEPTHS}", float [N, H, W] in metres, and at will '
    f'"{KEYS}", N different strings'
)
# All that NumPy, its header parser and the zip reader raise over a broken file.
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
    """What a file holds.

    Attributes:
      depths: float16, float32 or float64 [N, H, W], metres.
      keys: tuple of N different strings, or None.
    """

    depths: Any
    keys: Optional[tuple]


def read(path, flag):
    """Reads `DepthMaps`; nothing in the file is unpickled.

    Args:
      path: of the file.
      flag: that names it, for errors.

    Raises:
      UserError: when it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if DEPTHS not in arrays:
                raise ValueError(f"has no array {DEPTHS}, but {', '.join(arrays)}")
            depths = arrays[DEPTHS]
            keys = arrays.get(KEYS)
    except _BROKEN as error:
        raise UserError(f"--{flag}={path}: {error}; {_EXPECTED}") from error
    except (AttributeError, TypeError) as error:
        # An .npy file gives an array, which is no context.
        raise UserError(f"--{flag}={path}: is a single array; {_EXPECTED}") from error
    if depths.ndim == 4 and depths.shape[-1] == 1:
        depths = depths[..., 0]
    if depths.ndim != 3 or depths.dtype.kind != "f" or not depths.size:
        raise UserError(
            f"--{flag}={path}: {DEPTHS} is {depths.dtype} {depths.shape}; {_EXPECTED}"
        )
    return DepthMaps(
        depths, None if keys is None else _strings(keys, depths, path, flag)
    )


def _strings(keys, depths, path, flag):
    if keys.dtype.kind == "S":
        keys = np.char.decode(keys, "utf-8", "surrogateescape")
    good = keys.dtype.kind == "U" and keys.shape == depths.shape[:1]
    if not good or len(np.unique(keys)) != len(keys):
        raise UserError(
            f"--{flag}={path}: {KEYS} is {keys.dtype} {keys.shape}, for {len(depths)} "
            f"depth maps, or has one twice; {_EXPECTED}"
        )
    return tuple(files.as_utf8(key) for key in keys.tolist())
