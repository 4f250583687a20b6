"""Composes pictures of images and results, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

RIGHT = (40, 180, 70)
WRONG = (220, 50, 40)
MARKED = (250, 190, 0)
PAPER = 255

# RGB in 0 to 255, or a gray level.
Color = Union[tuple[int, int, int], int]


def to_uint8(images: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Converts images in [0, 1], of any shape, to uint8; values outside are clipped."""
    return np.round(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def shrink(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Takes every nth pixel, so that the longer side has at most `side` pixels.

    Args:
      image: [H, W, ...].
      side: greatest height and width of the result.
    """
    step = max(1, -(-max(image.shape[:2]) // side))
    return image[::step, ::step]


def enlarge(image: npt.NDArray[np.generic], factor: int) -> npt.NDArray[Any]:
    """Repeats each pixel of an image, [H, W, ...], `factor` times in both directions."""
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def frame(
    image: npt.NDArray[np.uint8], color: Color, width: int = 3
) -> npt.NDArray[np.uint8]:
    """Draws a frame of `width` pixels around an image, uint8 [H, W, 3]."""
    framed = np.empty(
        (image.shape[0] + 2 * width, image.shape[1] + 2 * width, 3), np.uint8
    )
    framed[:] = color
    framed[width:-width, width:-width] = image
    return framed


def tint(
    image: npt.NDArray[np.uint8],
    mask: npt.NDArray[Any],
    color: Color,
    strength: float = 0.55,
) -> npt.NDArray[np.uint8]:
    """Blends a colour into the masked part of an image.

    Args:
      image: uint8 [H, W, 3].
      mask: [H, W], numbers in [0, 1].
      color: RGB or gray level.
      strength: share of the colour where the mask is 1.

    Returns:
      uint8 [H, W, 3].
    """
    share = strength * mask[..., None]
    return np.round(image * (1 - share) + np.array(color) * share).astype(np.uint8)


def grid(
    rows: Sequence[Sequence[npt.NDArray[np.uint8]]], gap: int = 4
) -> npt.NDArray[np.uint8]:
    """Arranges images in rows on a white picture.

    Args:
      rows: images of each row, all uint8 [H, W, 3] of the same size. A row may have fewer
        images than another.
      gap: pixels around and between images.

    Returns:
      uint8 [height, width, 3].
    """
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    shape = (
        len(rows) * (height + gap) + gap,
        columns * (width + gap) + gap,
        3,
    )
    paper = np.full(shape, PAPER, np.uint8)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = gap + y * (height + gap), gap + x * (width + gap)
            paper[top : top + height, left : left + width] = image
    return paper
