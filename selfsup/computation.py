"""How much a network computes, counted in its graph."""

from __future__ import annotations

import tensorflow as tf


def multiply_adds(graph: tf.Graph) -> int:
    """Multiply-adds of all operations of a graph, by TensorFlow's own profiler.

    The profiler counts two operations for the multiply-add of a convolution or a matrix
    product. It counts additions such as a bias's as one operation each: 0.1% of the
    paper's networks.

    Args:
      graph: of static shapes.

    Raises:
      ValueError: where the graph has no operation that it can count.
    """
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    )
    profile = tf.compat.v1.profiler.profile(
        graph, options=options.with_empty_output().build()
    )
    if not profile.total_float_ops:
        raise ValueError("no operation with a known count; are its shapes static?")
    return profile.total_float_ops // 2
