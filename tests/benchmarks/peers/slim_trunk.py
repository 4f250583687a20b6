"""Steps of TF-Slim's resnet_v2_101 to block 3 in graph mode, as the paper had it.

  python -m tests.benchmarks.peers.slim_trunk --batch=8 --size=96 --training

A process of its own, because TF-Slim changes classes of Keras.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import tensorflow as tf

from tests.benchmarks import alternation
from tests.trunk import slim_reference

_STRIDE = 8


def main() -> None:
    """Builds the graph and takes the steps that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--training", action="store_true")
    flags = parser.parse_args()
    # TF-Slim uses names that TensorFlow and Keras deprecate.
    tf.get_logger().setLevel("ERROR")
    warnings.simplefilter("ignore")
    images = np.random.default_rng(0).random(
        (flags.batch, flags.size, flags.size, 3), np.float32
    )
    slim = slim_reference.resnet_v2
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        given = tf.compat.v1.placeholder(tf.float32, images.shape)
        with slim_reference.arg_scope(slim.resnet_arg_scope()):
            _, points = slim.resnet_v2_101(
                2.0 * given - 1.0,
                num_classes=None,
                is_training=flags.training,
                global_pool=False,
                output_stride=_STRIDE,
            )
        (block3,) = (points[key] for key in points if key.endswith("block3"))
        loss = tf.reduce_mean(tf.square(block3))
        fetches = [loss]
        if flags.training:
            # Block 4 is in the graph, but nothing that is fetched depends on it.
            variables = [
                variable
                for variable in tf.compat.v1.trainable_variables()
                if not any(part in variable.name for part in ("block4", "postnorm"))
            ]
            gradients = tf.gradients(loss, variables)
            updates = [
                operation
                for operation in tf.compat.v1.get_collection("update_ops")
                if not any(part in operation.name for part in ("block4", "postnorm"))
            ]
            fetches += [tf.group(*gradients, *updates)]
        session.run(tf.compat.v1.global_variables_initializer())
        call = session.make_callable(fetches, [given])
        step = alternation.InProcess(lambda: call(images))
        alternation.serve(step, {"version": f"TF-Slim, TensorFlow {tf.__version__}"})


if __name__ == "__main__":
    main()
