"""Random views of video frames together with their masks, batched on the device.

A mask has a cell for each `stride` pixels of its frame. A view enlarges or shrinks frame
and mask by the same factor and begins at the corner of a cell. At scale 1 its cells are
therefore cells of the mask; at other scales a cell has the value at its centre.
"""

from __future__ import annotations

import math

import tensorflow as tf

from selfsup.images import projection

# Of the frame beyond its border, where the masks are 0.
GRAY = 0.5


def draw_views(
    count: tf.Tensor,
    cells: tuple[int, int],
    scales: tuple[float, float],
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws scales, uniform in their logarithm, and places.

    A view that sees less than the frame lies within it, and a view that sees more
    contains it, at a random place in both cases.

    Args:
      count: int32 scalar N.
      cells: height and width of the masks.
      scales: the least and the greatest scale; above 1, a part of the frame is enlarged.
      seed: int32 [2].

    Returns:
      scales, float32 [N], and corners, float32 [N, 2]: whole numbers, row and column of
      the mask's cell at the upper left corner of the view; negative outside the frame.
    """
    scale_seed, place_seed = tf.unstack(tf.random.split(seed))
    low, high = (math.log(scale) for scale in scales)
    scale = tf.exp(tf.random.stateless_uniform([count], scale_seed, low, high))
    size = tf.constant(cells, tf.float32)
    room = size - size / scale[:, None]
    places = 1.0 + tf.floor(tf.abs(room))
    draws = tf.random.stateless_uniform([count, 2], place_seed)
    return scale, tf.sign(room) * tf.floor(draws * places)


def view(
    frames: tf.Tensor,
    masks: tf.Tensor,
    scale: tf.Tensor,
    corner: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads a view of each frame, bilinearly, and of its masks, from the nearest cell.

    Args:
      frames: float32 [N, H, W, 3] in [0, 1].
      masks: float32 [N, h, w, C]; H / h = W / w is the stride.
      scale: float32 [N], see `draw_views`.
      corner: float32 [N, 2], see `draw_views`.

    Returns:
      frames and masks of the same shapes. Beyond the frame's border the frame is gray
      and the masks are 0.
    """
    stride = frames.shape[1] // masks.shape[1]
    seen = projection.transform(
        frames - GRAY,
        _transforms(scale, corner * stride),
        interpolation="bilinear",
        fill_mode="constant",
        output_shape=frames.shape[1:3],
    )
    labels = projection.transform(
        masks,
        _transforms(scale, corner),
        interpolation="nearest",
        fill_mode="constant",
        output_shape=masks.shape[1:3],
    )
    return tf.ensure_shape(seen + GRAY, frames.shape), tf.ensure_shape(
        labels, masks.shape
    )


def _transforms(scale: tf.Tensor, corner: tf.Tensor) -> tf.Tensor:
    """Returns rows [a, 0, x, 0, a, y, 0, 0]: from a view to its frame, in pixels.

    Pixel i is the interval from i to i + 1, whose middle the transformation calls i.
    """
    factor = 1.0 / scale
    offset = corner + (0.5 * factor - 0.5)[:, None]
    zero = tf.zeros_like(factor)
    return tf.stack(
        [factor, zero, offset[:, 1], zero, factor, offset[:, 0], zero, zero], axis=-1
    )
