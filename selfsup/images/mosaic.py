"""Small NumPy helpers that lay out the tasks' pictures for people."""

import numpy as np

RIGHT = (40, 180, 70)
WRONG = (220, 50, 40)
MARKED = (250, 190, 0)
PAPER = 255


def to_uint8(images):
    """Float images in [0, 1] as uint8."""
    return np.round(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def shrink(image, side):
    """Every nth pixel, so that the longer side has about `side` pixels at most."""
    step = max(1, -(-max(image.shape[:2]) // side))
    return image[::step, ::step]


def enlarge(image, factor):
    """Each pixel `factor` times in both directions."""
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def frame(image, color, width=3):
    """The image, uint8 [H, W, 3], with a coloured frame around it."""
    framed = np.empty(
        (image.shape[0] + 2 * width, image.shape[1] + 2 * width, 3), np.uint8
    )
    framed[:] = color
    framed[width:-width, width:-width] = image
    return framed


def tint(image, mask, color, strength=0.55):
    """The image with `color` laid over it where the mask, [H, W] in [0, 1], says."""
    share = strength * mask[..., None]
    return np.round(image * (1 - share) + np.array(color) * share).astype(np.uint8)


def grid(rows, gap=4):
    """Lays rows of equally large uint8 images out on white paper."""
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
