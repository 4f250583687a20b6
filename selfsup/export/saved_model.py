"""Writes a trunk as a SavedModel: a TensorFlow Hub module for image feature vectors.

`loaded = tf.saved_model.load(directory)` has these members. Images are float32
[B, H, W, 3] in [0, 1] of any size.

    loaded(images, training=False)               features, [B, h, w, C]
    loaded.unit_outputs(images, training=False)  dict unit name -> [B, h, w, C]
    loaded.combined(images, unit_weights, training=False)   equation (1), weights [M]
    loaded.alpha                                 dict task -> [M], after the lasso
    loaded.block4(features, training=False)      the trunk's tail, [B, h, w, D], if present
    loaded.logits(block4_output)                 [B, classes], if present
    loaded.heads                                 dict task -> head, of tasks that export it
    loaded.heads[task](features, training=False) the outputs of the task's head
    loaded.signatures["serving_default"](inputs=images)["features"]

`loaded(...)` also accepts other images, so that a Keras model can pass on its inputs:
uint8 in [0, 255]; float16 and bfloat16 in [0, 1], to which a mixed-precision policy casts
its inputs; and gray images [B, H, W, 1] of each type, which are repeated over the
channels. The trunk computes in float32, and its output is always float32. The names of
the units of a ResNet are "block3/unit_1" and so on, and its tail is block 4.

`loaded`, `loaded.block4` and each head also have `variables`, `trainable_variables` and
`regularization_losses`, as `hub.KerasLayer` expects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from selfsup.keras import keras
    from selfsup.trunk.classifier import Classifier
    from selfsup.trunk.trunk import Tail, Trunk

_IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32, name="images")
_DTYPES = (tf.float32, tf.float16, tf.bfloat16, tf.uint8)
_CHANNELS = (3, 1)


def write(
    directory: str,
    trunk: Trunk,
    block4: Tail | None = None,
    logits: Classifier | None = None,
    heads: Mapping[str, keras.layers.Layer] | None = None,
    unit_weights: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> None:
    """Writes the SavedModel at the trunk's output stride.

    Args:
      directory: folder for the files.
      trunk: the trunk, with weights in float32.
      block4: tail on top of the trunk, or None.
      logits: classifier on top of the tail, or None.
      heads: heads by task, or None.
      unit_weights: row of alpha by task, [M] each, or None.
    """
    module = _module(trunk, _accepting_all_images(trunk))
    for channels in _CHANNELS:
        shape = [None, None, None, channels]
        for dtype in _DTYPES:
            _trace_both(module.__call__, tf.TensorSpec(shape, dtype, name="images"))
    module.unit_outputs = _unit_outputs(trunk)
    if trunk.config.output_stride in trunk.combined_strides:
        module.combined = _combined(trunk)
    module.alpha = {
        task: tf.Variable(row, trainable=False, dtype=tf.float32)
        for task, row in (unit_weights or {}).items()
    }
    if block4 is not None:
        module.block4 = _on_features(block4, trunk.channels)
    module.heads = {
        task: _on_features(head, trunk.channels) for task, head in (heads or {}).items()
    }
    if logits is not None:

        def call_logits(features: tf.Tensor) -> tf.Tensor:
            return logits(features)

        module.logits = _module(logits, call_logits)
        spec = _features_spec(logits.channels)
        module.logits.__call__.get_concrete_function(spec)
    tf.saved_model.save(module, directory, signatures=_signatures(trunk))


def _accepting_all_images(trunk: Trunk) -> Callable[..., tf.Tensor]:
    """Returns a function (images, training) -> features for all types of images.

    The trunk is a `tf.function` inside of it, so that the SavedModel contains the
    trunk's graph once, not once per image type.
    """
    on_floats = tf.function(
        lambda images, training: trunk(images, training), autograph=False
    )

    def call(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        if images.dtype == tf.uint8:
            images = tf.cast(images, tf.float32) / 255.0
        images = tf.cast(images, tf.float32)
        if images.shape[-1] == 1:
            images = tf.tile(images, [1, 1, 1, 3])
        return on_floats(images, training)

    return call


def _on_features(layer: keras.layers.Layer, channels: int) -> tf.train.Checkpoint:
    """Returns the module of a layer that takes the trunk's features."""

    def call(features: tf.Tensor, training: bool = False) -> tf.Tensor:
        return layer(features, training=training)

    module = _module(layer, call)
    _trace_both(module.__call__, _features_spec(channels))
    return module


def _features_spec(channels: int) -> tf.TensorSpec:
    """Spec of feature maps of any size."""
    return tf.TensorSpec([None, None, None, channels], tf.float32, name="features")


def _module(
    model: keras.layers.Layer, call: Callable[..., tf.Tensor]
) -> tf.train.Checkpoint:
    """Returns a trackable object with `call` and the model's variables and losses.

    The object contains only variables and functions. With the Keras model as an
    attribute, saving would trace each of its layers separately.
    """
    module = tf.train.Checkpoint()
    module.variables = list(model.variables)
    module.trainable_variables = list(model.trainable_variables)
    module.__call__ = tf.function(call, autograph=False)
    if model.losses:
        regularization = tf.function(
            lambda: tf.add_n(model.losses), input_signature=[], autograph=False
        )
        module.regularization_losses = [regularization]
    else:
        module.regularization_losses = []
    return module


def _trace_both(
    function: tf.types.experimental.GenericFunction, *specs: tf.TensorSpec
) -> None:
    """Traces a function for inference and for training."""
    for training in (False, True):
        function.get_concrete_function(*specs, training=training)


def _unit_outputs(trunk: Trunk) -> tf.types.experimental.GenericFunction:
    """The traced function `unit_outputs`."""

    @tf.function(autograph=False)
    def unit_outputs(images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        outputs = trunk.unit_outputs(images, training)
        return dict(zip(trunk.unit_names, outputs))

    _trace_both(unit_outputs, _IMAGES)
    return unit_outputs


def _combined(trunk: Trunk) -> tf.types.experimental.GenericFunction:
    """The traced function `combined`."""

    @tf.function(autograph=False)
    def combined(
        images: tf.Tensor, unit_weights: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        return trunk(images, training, unit_weights=unit_weights)

    weights = tf.TensorSpec([trunk.num_units], tf.float32, name="unit_weights")
    _trace_both(combined, _IMAGES, weights)
    return combined


def _signatures(trunk: Trunk) -> dict[str, tf.types.experimental.GenericFunction]:
    """Signatures of the SavedModel, for TensorFlow Serving."""
    spec = tf.TensorSpec(_IMAGES.shape, tf.float32, name="inputs")

    @tf.function(input_signature=[spec], autograph=False)
    def serve(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": trunk(inputs)}

    return {"serving_default": serve}
