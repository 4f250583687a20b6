"""Patches from jittered grids, for relative position (paper section 2).

Doersch, Gupta & Efros, "Unsupervised Visual Representation Learning by Context
Prediction" (ICCV 2015), and their public code, github.com/cdoersch/deepcontext.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import decode_chosen_window

# A longer, thinner photo is cut to this, at a random place, before grids are laid.
_MAX_ASPECT = 4
# The deviation that `normalize` brings patches to: 50 of 255 gray levels.
_DEVIATION = 50.0 / 255.0
# No patch has its contrast raised by more than one of this deviation: a gray level.
_LEAST_DEVIATION = 1.0 / 255.0


@dataclasses.dataclass(frozen=True)
class Grid:
    """The layout of a grid of patches.

    Attributes:
      rows, columns: patches below and beside each other.
      patch_size: side of a patch, pixels.
      gap: pixels between the cells of neighbouring patches.
      jitter: pixels that a patch may lie off its cell, in both directions.
    """

    rows: int
    columns: int
    patch_size: int
    gap: int
    jitter: int

    @property
    def cells(self) -> int:
        """Patches of the grid."""
        return self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, with room for jitter."""
        pitch = self.patch_size + self.gap
        room = 2 * self.jitter - self.gap
        return self.rows * pitch + room, self.columns * pitch + room


def random_grids(
    encoded: tf.Tensor, pixels: float | tf.Tensor, grid: Grid, count: int, seed
) -> tf.Tensor:
    """Cuts the patches of several grids out of one photo.

    The photo is resized once for all its grids, and each lies at a random place in it.
    Each patch moves off its cell by up to `jitter` pixels in both directions,
    independently, so that neighbours' edges do not line up. The smallest rectangle that
    holds the grids is decoded and resized, and nothing else.

    Args:
      encoded: scalar string, JPEG or PNG.
      pixels: number or scalar tensor, the area that the photo is resized to, its aspect
        kept; a larger one where a grid would not fit.
      grid: layout of every grid.
      count: grids.
      seed: int32 [2].

    Returns:
      uint8 [count, cells, patch_size, patch_size, 3], each grid row by row.
    """
    aspect_seed, place_seed, jitter_seed = tf.unstack(tf.random.split(seed, 3))
    places = tf.random.stateless_uniform([count, 2], place_seed)

    def choose(height, width):
        (top, left), size = _cut_to_aspect(height, width, aspect_seed)
        window, extent, corners = _covering_window(size, pixels, grid, places)
        return (top + window[0], left + window[1], *window[2:]), (extent, corners)

    rectangle, (extent, corners) = decode_chosen_window(encoded, choose)
    resized = resize.resize(rectangle, extent[0], extent[1])
    corners = corners[:, None] + jittered_cells(grid, count, jitter_seed)
    flat = crops(resized, tf.reshape(corners, [count * grid.cells, 2]), grid.patch_size)
    return tf.reshape(flat, [count, grid.cells, grid.patch_size, grid.patch_size, 3])


def jittered_cells(grid: Grid, count: int, seed) -> tf.Tensor:
    """Where the patches of `count` grids begin.

    Args:
      grid: layout.
      count: grids.
      seed: int32 [2].

    Returns:
      int32 [count, cells, 2], top and left of each patch in its grid, row by row.
    """
    pitch = grid.patch_size + grid.gap
    cells = [
        [row * pitch, column * pitch]
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]
    offsets = tf.random.stateless_uniform(
        [count, grid.cells, 2], seed, 0, 2 * grid.jitter + 1, tf.int32
    )
    return tf.constant(cells) + offsets


def crops(image, corners, size):
    """Cuts squares out of one image.

    Args:
      image: [H, W, C].
      corners: int32 [n, 2], top and left of each, n static.
      size: int or int32 scalar.

    Returns:
      [n, size, size, C] of the image's dtype.
    """
    image = tf.convert_to_tensor(image)
    corners = [tf.unstack(corner) for corner in tf.unstack(corners)]
    return tf.stack(
        [image[top : top + size, left : left + size] for top, left in corners]
    )


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Takes brightness and contrast out of each image by itself.

    The mean of each channel becomes mid-gray, which is the trunk's zero. All channels
    are multiplied by one factor, which brings the one of the largest standard deviation
    to 50 of 255 gray levels: of colours that were dropped it is the channel kept. An
    image with hardly any contrast has it raised 50 times at most.

    Args:
      images: float32 [N, H, W, C] in [0, 1].

    Returns:
      float32 of the same shape, clipped to [0, 1].
    """
    centred = images - tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=[1, 2], keepdims=True)
    deviation = tf.sqrt(tf.reduce_max(variance, axis=-1, keepdims=True))
    factor = _DEVIATION / tf.maximum(deviation, _LEAST_DEVIATION)
    return tf.clip_by_value(0.5 + centred * factor, 0.0, 1.0)


def _cut_to_aspect(height, width, seed):
    """The part of a photo that grids may lie in.

    Args:
      height, width: int32 scalars, of the photo.
      seed: int32 [2].

    Returns:
      its (top, left), int32 scalars, and its size, int32 [2].
    """
    longest = tf.minimum(height, width) * _MAX_ASPECT
    size = tf.minimum(tf.stack([height, width]), longest)
    return resize.random_corner(height - size[0], width - size[1], seed), size


def _covering_window(size, pixels, grid, places):
    """The rectangle of a photo that holds all its grids.

    Args:
      size: int32 [2], of the photo.
      pixels: area that the photo is resized to, or more.
      grid: a `Grid`.
      places: float32 [count, 2] in [0, 1), of the grids among the places where they fit.

    Returns:
      window: (top, left, height, width) in the photo, int32 scalars.
      extent: int32 [2], height and width that the window is resized to.
      corners: int32 [count, 2], top and left of each grid in the resized window.
    """
    found = tf.cast(size, tf.float32)
    scale = tf.sqrt(tf.cast(pixels, tf.float32) / tf.reduce_prod(found))
    scale = tf.maximum(scale, tf.reduce_max(tf.constant(grid.size, tf.float32) / found))
    resized = tf.maximum(tf.cast(tf.round(found * scale), tf.int32), grid.size)
    corners = _uniform_below(resized - grid.size + 1, places)
    first = tf.reduce_min(corners, axis=0)
    extent = tf.reduce_max(corners, axis=0) + grid.size - first
    # In whole pixels of the photo, so that grids can be off by half a pixel of it.
    edges = tf.cast(tf.stack([first, first + extent]), tf.float32) / scale
    edges = tf.minimum(tf.cast(tf.round(edges), tf.int32), size)
    begin = tf.minimum(edges[0], size - 1)
    window = (*tf.unstack(begin), *tf.unstack(tf.maximum(edges[1] - begin, 1)))
    return window, extent, corners - first


def _uniform_below(bounds, places):
    """int32 below `bounds`, in proportion to `places` in [0, 1)."""
    scaled = tf.cast(places * tf.cast(bounds, tf.float32), tf.int32)
    # Rounding to float32 may reach the bound.
    return tf.minimum(scaled, bounds - 1)
