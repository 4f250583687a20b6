"""TF-Slim's own resnet_v2 as the reference, with random weights and statistics."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import zlib

import numpy as np
import tensorflow as tf

from selfsup.keras import keras
from selfsup.trunk.resnet_v2 import Depth


def _restore_legacy_layers():
    """TF-Slim imports tf_keras.legacy_tf_layers, which has moved to tf_keras.src."""
    new = "tf_keras.src.legacy_tf_layers"
    package = importlib.import_module(new)
    sys.modules["tf_keras.legacy_tf_layers"] = package
    for module in pkgutil.iter_modules(package.__path__):
        sys.modules[f"tf_keras.legacy_tf_layers.{module.name}"] = (
            importlib.import_module(f"{new}.{module.name}")
        )


def _restore_layers():
    """Undoes a change of Keras's classes: layers in a TF1 graph get other base classes."""
    keras.layers.Conv2D(1, 1)
    keras.layers.BatchNormalization()


_restore_legacy_layers()
from tf_slim import arg_scope  # noqa: E402
from tf_slim.nets import resnet_v2  # noqa: E402


def random_value(name, shape):
    """A random value for the variable `name` with which activations stay moderate."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith(("gamma", "moving_variance")):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith("weights"):
        scale = np.sqrt(2.0 / np.prod(shape[:-1]))
        return rng.normal(0, scale, shape).astype(np.float32)
    return rng.normal(0, 0.2, shape).astype(np.float32)


# A small depth and width for tests. The root of Slim's network always has 64 channels.
SHALLOW = Depth(root=64, units=(2, 2, 3, 2), bottlenecks=(8, 16, 32, 64))


def shallow(inputs, **arguments):
    """Slim's network with the depth and width of `SHALLOW`."""
    rows = zip(SHALLOW.bottlenecks, SHALLOW.units, (2, 2, 2, 1))
    blocks = [
        resnet_v2.resnet_v2_block(f"block{number}", *row)
        for number, row in enumerate(rows, start=1)
    ]
    return resnet_v2.resnet_v2(inputs, blocks, **arguments)


class SlimNetwork:
    """A Slim network in a TF1 graph; use it as a context manager."""

    def __init__(self, network, num_classes=7):
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._network = network
        self._scope = network.__name__
        self._num_classes = num_classes
        self._initialised = set()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._session.close()

    def run(self, images, output_stride, training=False):
        """Returns block3, block4 (after postnorm) and logits by name for [0, 1] images."""
        with self._graph.as_default(), arg_scope(resnet_v2.resnet_arg_scope()):
            net, points = self._network(
                tf.constant(2.0 * images - 1.0),
                num_classes=None,
                is_training=training,
                global_pool=False,
                output_stride=output_stride,
                reuse=tf.compat.v1.AUTO_REUSE,
                scope=self._scope,
            )
            pooled = tf.reduce_mean(net, [1, 2], keepdims=True)
            logits = resnet_v2.layers_lib.conv2d(
                pooled,
                self._num_classes,
                [1, 1],
                activation_fn=None,
                normalizer_fn=None,
                scope=f"{self._scope}/logits",
                reuse=tf.compat.v1.AUTO_REUSE,
            )
            (block3,) = (points[key] for key in points if key.endswith("block3"))
            self._randomise()
            outputs = {"block3": block3, "block4": net, "logits": logits[:, 0, 0]}
            outputs = self._session.run(outputs)
        _restore_layers()
        return outputs

    def _randomise(self):
        for variable in self._graph.get_collection("variables"):
            name = variable.op.name
            if name not in self._initialised:
                value = random_value(name, variable.shape.as_list())
                variable.load(value, self._session)
                self._initialised.add(name)

    def save(self, prefix, with_slots=True):
        """Writes a TF1 checkpoint, after an RMSProp step if `with_slots`."""
        with self._graph.as_default():
            if with_slots:
                self._take_step()
            tf.compat.v1.train.Saver().save(
                self._session, str(prefix), write_meta_graph=False
            )
        return str(prefix)

    def _take_step(self):
        step = tf.compat.v1.train.get_or_create_global_step()
        kernels = [
            v for v in tf.compat.v1.trainable_variables() if "block3" not in v.op.name
        ]
        loss = tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
        optimizer = tf.compat.v1.train.RMSPropOptimizer(0.0, momentum=0.9)
        train = optimizer.minimize(loss, global_step=step, var_list=kernels)
        averages = tf.train.ExponentialMovingAverage(0.999)
        with tf.control_dependencies([train]):
            train = averages.apply(kernels[:3])
        new = [step, *optimizer.variables(), *averages._averages.values()]
        self._session.run(tf.compat.v1.variables_initializer(new))
        self._session.run(train)
