"""Pictures as PNG files."""

import io

import numpy as np

from selfsup.common import files


def save_png(path, picture):
    """Writes uint8 [H, W, 3] as a PNG, atomically."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, format="PNG")
    files.write_atomically(path, content.getvalue())
