"""Patches from a jittered grid, for relative position (paper section 2)."""

import tensorflow as tf


def min_side(patch_size, gap, jitter):
    """The shortest image side, in pixels, that holds two grid cells."""
    return 2 * patch_size + gap + 2 * jitter


def random_block(image, patch_size, gap, jitter, seed):
    """Cuts a random 2x2 block of neighbouring patches from a grid on the image.

    The grid has a cell every `patch_size + gap` pixels, as many as fit, and a random
    origin. Each patch moves off its cell by up to `jitter` pixels in both directions,
    independently, so that neighbours' edges do not line up.

    Args:
      image: uint8 [H, W, 3], both sides at least `min_side(patch_size, gap, jitter)`.
      patch_size, gap, jitter: ints, pixels.
      seed: int32 [2].

    Returns:
      uint8 [4, patch_size, patch_size, 3]: top left, top right, bottom left, bottom
      right.
    """
    place_seed, jitter_seed = tf.unstack(tf.random.split(seed))
    corner = _random_block_corner(image, patch_size, gap, jitter, place_seed)
    step = patch_size + gap
    offsets = tf.random.stateless_uniform(
        [4, 2], jitter_seed, -jitter, jitter + 1, tf.int32
    )
    cells = step * tf.constant([[0, 0], [0, 1], [1, 0], [1, 1]])
    return crops(image, corner + cells + offsets, patch_size)


def crops(image, corners, size):
    """Cuts squares out of one image.

    Args:
      image: [H, W, C].
      corners: int32 [n, 2], top and left of each, n static.
      size: int.

    Returns:
      [n, size, size, C] of the image's dtype.
    """
    return tf.stack(
        [
            tf.image.crop_to_bounding_box(image, corner[0], corner[1], size, size)
            for corner in tf.unstack(corners)
        ]
    )


def _random_block_corner(image, patch_size, gap, jitter, seed):
    """Top and left, int32 [2], of a random 2x2 block on a randomly placed grid."""
    origin_seed, cell_seed = tf.unstack(tf.random.split(seed))
    room = tf.shape(image)[:2] - 2 * jitter - patch_size
    step = patch_size + gap
    origin = _uniform_below(room % step + 1, origin_seed)
    cell = _uniform_below(room // step, cell_seed)
    return jitter + origin + step * cell


def _uniform_below(bounds, seed):
    """Random int32 of the shape of `bounds`, each in [0, bound)."""
    draws = tf.random.stateless_uniform(tf.shape(bounds), seed)
    scaled = tf.cast(draws * tf.cast(bounds, tf.float32), tf.int32)
    return tf.minimum(scaled, bounds - 1)
