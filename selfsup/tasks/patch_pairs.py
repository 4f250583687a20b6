"""Ordered pairs of adjacent patches of a grid, and their relative positions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfsup.images import mosaic

# Offsets of the second patch from the first: rows down, columns right.
DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def adjacent_pairs(
    rows: int, columns: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lists all ordered pairs of adjacent cells of a grid, including diagonals.

    A grid with r rows and c columns has
    P = 2 (r (c - 1) + (r - 1) c + 2 (r - 1) (c - 1)) pairs.

    Args:
      rows: r, 1 or more.
      columns: c, 1 or more.

    Returns:
      pairs: int32 [P, 2], indices of two cells, counted row by row.
      labels: int32 [P], index in `DIRECTIONS` of the second cell's offset from the
        first.
    """
    pairs, labels = [], []
    for cell in range(rows * columns):
        for label, (down, right) in enumerate(DIRECTIONS):
            row, column = cell // columns + down, cell % columns + right
            if 0 <= row < rows and 0 <= column < columns:
                pairs.append((cell, row * columns + column))
                labels.append(label)
    return np.array(pairs, np.int32), np.array(labels, np.int32)


def pair_picture(
    pair: npt.NDArray[np.uint8], label: int, predicted: int, side: int = 48
) -> npt.NDArray[np.uint8]:
    """Draws a pair of patches on a 3x3 board.

    The first patch is in the middle and the second patch in its true direction. The
    frame of the second patch is green if the prediction is correct. Otherwise it is
    red, and a yellow frame marks the predicted direction.

    Args:
      pair: [2, h, w, 3], the two patches.
      label: index in `DIRECTIONS` of the true direction.
      predicted: index in `DIRECTIONS` of the predicted direction.
      side: approximate side of the drawn patches, in pixels.

    Returns:
      [H, W, 3].
    """
    first, second = (mosaic.shrink(patch, side) for patch in pair)
    frame_color = mosaic.RIGHT if label == predicted else mosaic.WRONG
    blank = np.full_like(mosaic.frame(first, 0), 235)
    board = [[blank] * 3 for _ in range(3)]
    board[1][1] = mosaic.frame(first, (90, 90, 90))
    # The true direction comes last and replaces the mark of a correct prediction.
    for direction, cell in (
        (predicted, mosaic.frame(np.full_like(first, 235), mosaic.MARKED)),
        (label, mosaic.frame(second, frame_color)),
    ):
        row, column = DIRECTIONS[direction]
        board[1 + row][1 + column] = cell
    return mosaic.grid(board, gap=1)
