"""Patches from jittered grids, for the relative position task (paper section 2).

Doersch, Gupta & Efros, "Unsupervised Visual Representation Learning by Context
Prediction" (ICCV 2015), and their public code, github.com/cdoersch/deepcontext.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import Window, decode_chosen_window

# Photos with a larger aspect ratio are cropped to it, at a random place.
_MAX_ASPECT = 4
# Standard deviation of patches after `normalize`: 50 of 255 gray levels.
_DEVIATION = 50.0 / 255.0
# Patches of smaller standard deviation, one gray level, are amplified as if they had it.
_LEAST_DEVIATION = 1.0 / 255.0


@dataclasses.dataclass(frozen=True)
class Grid:
    """The layout of a grid of patches.

    Attributes:
      rows: number of rows of patches.
      columns: number of columns of patches.
      patch_size: side of a patch in pixels.
      gap: pixels between the cells of neighbouring patches.
      jitter: greatest displacement of a patch from its cell in x and y, pixels.
    """

    rows: int
    columns: int
    patch_size: int
    gap: int
    jitter: int

    @property
    def cells(self) -> int:
        """Number of patches in the grid."""
        return self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid in pixels, jitter included."""
        pitch = self.patch_size + self.gap
        room = 2 * self.jitter - self.gap
        return self.rows * pitch + room, self.columns * pitch + room


def random_grids(
    encoded: tf.Tensor,
    pixels: float | tf.Tensor,
    grid: Grid,
    count: int,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Crops the patches of several grids from one photo.

    The photo is resized once for all its grids, and each grid has a random place in it.
    Each patch is displaced from its cell by up to `jitter` pixels in x and y,
    independently, so that the edges of neighbours do not align. Only the smallest
    rectangle that contains the grids is decoded and resized.

    Args:
      encoded: scalar string, JPEG or PNG.
      pixels: area that the photo is resized to, with its aspect ratio; the area is larger
        if a grid would not fit.
      grid: layout of every grid.
      count: number of grids.
      seed: int32 [2].

    Returns:
      uint8 [count, cells, patch_size, patch_size, 3], each grid row by row.
    """
    aspect_seed, place_seed, jitter_seed = tf.unstack(tf.random.split(seed, 3))
    places = tf.random.stateless_uniform([count, 2], place_seed)

    def choose(
        height: tf.Tensor, width: tf.Tensor
    ) -> tuple[Window, tuple[tf.Tensor, tf.Tensor]]:
        (top, left), size = _crop_to_aspect(height, width, aspect_seed)
        window, extent, corners = _covering_window(size, pixels, grid, places)
        window = (top + window[0], left + window[1], window[2], window[3])
        return window, (extent, corners)

    rectangle, (extent, corners) = decode_chosen_window(encoded, choose)
    resized = resize.resize(rectangle, extent[0], extent[1])
    corners = corners[:, None] + jittered_cells(grid, count, jitter_seed)
    flat = crops(resized, tf.reshape(corners, [count * grid.cells, 2]), grid.patch_size)
    return tf.reshape(flat, [count, grid.cells, grid.patch_size, grid.patch_size, 3])


def jittered_cells(grid: Grid, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws the positions of the patches in their grids.

    Args:
      grid: layout of every grid.
      count: number of grids.
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


def crops(image: tf.Tensor, corners: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Crops squares from one image.

    Args:
      image: [H, W, C] of any dtype.
      corners: int32 [n, 2] with a static n, top and left of each square.
      size: side of the squares in pixels.

    Returns:
      [n, size, size, C], of the image's dtype.
    """
    image = tf.convert_to_tensor(image)
    points = [tf.unstack(corner) for corner in tf.unstack(corners)]
    return tf.stack(
        [image[top : top + size, left : left + size] for top, left in points]
    )


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Normalises the brightness and the contrast of each image.

    The mean of each channel becomes mid-gray, which is the trunk's zero. All channels are
    multiplied by the same factor, which makes the largest of their standard deviations 50
    of 255 gray levels; after `color.drop_colors` that is the deviation of the channel
    that was kept. The factor is at most 50.

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


def _crop_to_aspect(
    height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Chooses the part of a photo in which grids are placed.

    Args:
      height: of the photo, int32 scalar.
      width: of the photo, int32 scalar.
      seed: int32 [2].

    Returns:
      top and left of the part, int32 scalars, and its size, int32 [2].
    """
    longest = tf.minimum(height, width) * _MAX_ASPECT
    size = tf.minimum(tf.stack([height, width]), longest)
    return resize.random_corner(height - size[0], width - size[1], seed), size


def _covering_window(
    size: tf.Tensor, pixels: float | tf.Tensor, grid: Grid, places: tf.Tensor
) -> tuple[Window, tf.Tensor, tf.Tensor]:
    """Chooses the rectangle of a photo that contains all its grids.

    Args:
      size: int32 [2], height and width of the photo.
      pixels: least area that the photo is resized to.
      grid: layout of every grid.
      places: float32 [count, 2] in [0, 1), relative positions of the grids among the
        places where they fit.

    Returns:
      window: the rectangle in the photo.
      extent: int32 [2], height and width that the window is resized to.
      corners: int32 [count, 2], top and left of each grid in the resized window.
    """
    sides = tf.cast(size, tf.float32)
    scale = tf.sqrt(tf.cast(pixels, tf.float32) / tf.reduce_prod(sides))
    scale = tf.maximum(scale, tf.reduce_max(tf.constant(grid.size, tf.float32) / sides))
    resized = tf.maximum(tf.cast(tf.round(sides * scale), tf.int32), grid.size)
    corners = resize.integers_below(resized - grid.size + 1, places)
    first = tf.reduce_min(corners, axis=0)
    extent = tf.reduce_max(corners, axis=0) + grid.size - first
    # Whole pixels of the photo, so that grids may be displaced by half such a pixel.
    edges = tf.cast(tf.stack([first, first + extent]), tf.float32) / scale
    edges = tf.minimum(tf.cast(tf.round(edges), tf.int32), size)
    begin = tf.minimum(edges[0], size - 1)
    top, left = tf.unstack(begin)
    height, width = tf.unstack(tf.maximum(edges[1] - begin, 1))
    return (top, left, height, width), extent, corners - first
