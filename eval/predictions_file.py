"""predictions.npz: what a trained evaluation predicts on the test split."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from selfsup.common import files

FILE_NAME = "predictions.npz"


def write(folder: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays by name to predictions.npz, atomically.

    Args:
      folder: output folder of the evaluation.
      arrays: arrays by name, of any dtype but objects.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)
    files.write_atomically(os.path.join(folder, FILE_NAME), content.getvalue())
