"""Patches from a jittered grid, for relative position (paper section 2)."""

import tensorflow as tf

from selfsup.images import resize
from selfsup.images.decoding import decode_window

# A long, thin photo is cut to this, at a random place, before the grid is laid.
_MAX_ASPECT = 4


def min_side(patch_size, gap, jitter):
    """The shortest image side, in pixels, that holds two grid cells."""
    return 2 * patch_size + gap + 2 * jitter


def random_block(encoded, pixels, patch_size, gap, jitter, seed):
    """Cuts a random 2x2 block of neighbouring patches from a grid on a photo.

    The grid has a cell every `patch_size + gap` pixels, as many as fit, and a random
    origin. Each patch moves off its cell by up to `jitter` pixels in both directions,
    independently, so that neighbours' edges do not line up. All these are pixels of the
    photo resized to an area; little more than the patches is decoded and resized.

    Args:
      encoded: scalar string, JPEG or PNG.
      pixels: number or scalar tensor: the area that the photo is resized to, its aspect
        kept; a larger one where two cells would not fit.
      patch_size, gap, jitter: ints, pixels.
      seed: int32 [2].

    Returns:
      uint8 [4, patch_size, patch_size, 3]: top left, top right, bottom left, bottom
      right.
    """
    place_seed, jitter_seed = tf.unstack(tf.random.split(seed))

    def choose(height, width):
        return _random_block_window(
            height, width, pixels, (patch_size, gap, jitter), place_seed
        )

    block = decode_window(encoded, choose)
    return jittered_cells(block, patch_size, gap, jitter, jitter_seed)


def jittered_cells(block, patch_size, gap, jitter, seed):
    """The four patches of a block.

    They are cut out before they are resized, at the nearest pixels of the block: what
    lies between them is never resized.

    Args:
      block: uint8 [s, s, 3]; its s pixels stand for `min_side(...)` of the grid's.
      patch_size, gap, jitter: ints, pixels of the grid.
      seed: int32 [2].

    Returns:
      uint8 [4, patch_size, patch_size, 3].
    """
    offsets = tf.random.stateless_uniform([4, 2], seed, 0, 2 * jitter + 1, tf.int32)
    cells = (patch_size + gap) * tf.constant([[0, 0], [0, 1], [1, 0], [1, 1]])
    extent = tf.shape(block)[0]
    scale = tf.cast(extent, tf.float32) / min_side(patch_size, gap, jitter)
    size = tf.maximum(tf.cast(tf.round(patch_size * scale), tf.int32), 1)
    corners = tf.round(tf.cast(cells + offsets, tf.float32) * scale)
    corners = tf.minimum(tf.cast(corners, tf.int32), extent - size)
    return resize.resize(crops(block, corners, size), patch_size, patch_size)


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


def _random_block_window(height, width, pixels, grid, seed):
    """Top, left, height and width, in the photo, of a block with room for its jitter."""
    aspect_seed, block_seed = tf.unstack(tf.random.split(seed))
    longest = tf.minimum(height, width) * _MAX_ASPECT
    used = tf.minimum(height, longest), tf.minimum(width, longest)
    top, left = resize.random_corner(height - used[0], width - used[1], aspect_seed)
    size = tf.cast(tf.stack(used), tf.float32)
    least = min_side(*grid)
    scale = tf.sqrt(tf.cast(pixels, tf.float32) / tf.reduce_prod(size))
    scale = tf.maximum(scale, least / tf.reduce_min(size))
    resized = tf.maximum(tf.cast(tf.round(size * scale), tf.int32), least)
    corner = tf.cast(random_block_corner(resized, *grid, block_seed), tf.float32)
    first = tf.cast(tf.round(corner / scale), tf.int32)
    extent = tf.maximum(tf.cast(tf.round(least / scale), tf.int32), 1)
    extent = tf.minimum(extent, tf.reduce_min(tf.stack(used)))
    first = tf.minimum(first, tf.stack(used) - extent)
    return top + first[0], left + first[1], extent, extent


def random_block_corner(size, patch_size, gap, jitter, seed):
    """Where a random block of a randomly placed grid begins, room for jitter included.

    Args:
      size: int32 [2], of the image, each at least `min_side(patch_size, gap, jitter)`.
      patch_size, gap, jitter: ints, pixels.
      seed: int32 [2].

    Returns:
      int32 [2], top and left of a square of side `min_side(patch_size, gap, jitter)`.
    """
    origin_seed, cell_seed = tf.unstack(tf.random.split(seed))
    room = size - 2 * jitter - patch_size
    step = patch_size + gap
    origin = _uniform_below(room % step + 1, origin_seed)
    cell = _uniform_below(room // step, cell_seed)
    return origin + step * cell


def _uniform_below(bounds, seed):
    """Random int32 of the shape of `bounds`, each in [0, bound)."""
    draws = tf.random.stateless_uniform(tf.shape(bounds), seed)
    scaled = tf.cast(draws * tf.cast(bounds, tf.float32), tf.int32)
    return tf.minimum(scaled, bounds - 1)
