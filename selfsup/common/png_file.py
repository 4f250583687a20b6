"""Writes pictures as PNG files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from selfsup.common import files

if TYPE_CHECKING:
    import numpy.typing as npt


def save_png(path: str, picture: npt.NDArray[np.uint8]) -> None:
    """Writes a picture, uint8 [H, W, 3], atomically to the PNG file `path`."""
    # Imported here, because commands that draw nothing need not load it.
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, format="PNG")
    files.write_atomically(path, content.getvalue())
