"""The trunk as a TensorFlow Hub image feature vector module.

What a loaded export offers, images being float32 [B, H, W, 3] in [0, 1] of any size:

    loaded(images, training=False)               block 3 output, [B, h, w, C]
    loaded.unit_outputs(images, training=False)  dict "block3/unit_<m>" -> [B, h, w, C]
    loaded.combined(images, unit_weights, training=False)   equation (1), weights [M]
    loaded.alpha                                 dict task -> [M], where learned
    loaded.block4(features, training=False)      [B, h, w, 2C], where present
    loaded.logits(block4_output)                 [B, classes], where present
    loaded.signatures["serving_default"](inputs=images)["features"]

The first of these also takes images of other kinds, so that a Keras model may give what
it has: uint8 in 0 to 255; float16 and bfloat16 in [0, 1], which a mixed-precision policy
makes of its inputs; [B, H, W, 1] of each, gray, which is repeated over the channels. The
trunk computes in float32, and its output is float32, whatever goes in.

`loaded` and `loaded.block4` also have `variables`, `trainable_variables` and
`regularization_losses`, as `hub.KerasLayer` expects.
"""

import tensorflow as tf

from selfsup.trunk.resnet_v2 import OUTPUT_STRIDES

_IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32, name="images")
_DTYPES = (tf.float32, tf.float16, tf.bfloat16, tf.uint8)
_CHANNELS = (3, 1)


def write(directory, trunk, block4=None, logits=None, unit_weights=None):
    """Writes the SavedModel; parts as in `export.save`, at the trunk's stride."""
    module = _reusable(trunk, _of_any_images(trunk))
    for channels in _CHANNELS:
        shape = [None, None, None, channels]
        for dtype in _DTYPES:
            _trace_both(module.__call__, tf.TensorSpec(shape, dtype, name="images"))
    module.unit_outputs = _unit_outputs(trunk)
    if trunk.config.output_stride != OUTPUT_STRIDES[-1]:
        module.combined = _combined(trunk)
    module.alpha = {
        task: tf.Variable(row, trainable=False, dtype=tf.float32)
        for task, row in (unit_weights or {}).items()
    }
    if block4 is not None:
        module.block4 = _reusable(
            block4, lambda features, training=False: block4(features, training)
        )
        _trace_both(module.block4.__call__, _map_spec(trunk.channels, "features"))
    if logits is not None:
        module.logits = _reusable(logits, lambda features: logits(features))
        spec = _map_spec(logits.channels, "features")
        module.logits.__call__.get_concrete_function(spec)
    tf.saved_model.save(module, directory, signatures=_serving(trunk))


def _of_any_images(trunk):
    """(images, training) -> the trunk's output, for images of all kinds.

    The trunk is a function within that function: its graph is stored once, not for each
    kind.
    """
    on_floats = tf.function(
        lambda images, training: trunk(images, training), autograph=False
    )

    def call(images, training=False):
        if images.dtype == tf.uint8:
            images = tf.cast(images, tf.float32) / 255.0
        images = tf.cast(images, tf.float32)
        if images.shape[-1] == 1:
            images = tf.tile(images, [1, 1, 1, 3])
        return on_floats(images, training)

    return call


def _map_spec(channels, name):
    return tf.TensorSpec([None, None, None, channels], tf.float32, name=name)


def _reusable(model, call):
    """A trackable with `call` and the model's variables and losses.

    It holds variables and functions only: were the Keras object attached, saving
    would trace every layer of it apart.
    """
    module = tf.train.Checkpoint()
    module.variables = list(model.variables)
    module.trainable_variables = list(model.trainable_variables)
    module.__call__ = tf.function(call, autograph=False)
    regularization = tf.function(
        lambda: tf.add_n(model.losses), input_signature=[], autograph=False
    )
    module.regularization_losses = [regularization]
    return module


def _trace_both(function, *specs):
    for training in (False, True):
        function.get_concrete_function(*specs, training=training)


def _unit_outputs(trunk):
    @tf.function(autograph=False)
    def unit_outputs(images, training=False):
        outputs = trunk.unit_outputs(images, training)
        return {f"block3/unit_{m}": net for m, net in enumerate(outputs, start=1)}

    _trace_both(unit_outputs, _IMAGES)
    return unit_outputs


def _combined(trunk):
    @tf.function(autograph=False)
    def combined(images, unit_weights, training=False):
        return trunk(images, training, unit_weights=unit_weights)

    weights = tf.TensorSpec([trunk.num_units], tf.float32, name="unit_weights")
    _trace_both(combined, _IMAGES, weights)
    return combined


def _serving(trunk):
    spec = tf.TensorSpec(_IMAGES.shape, tf.float32, name="inputs")

    @tf.function(input_signature=[spec], autograph=False)
    def serve(inputs):
        return {"features": trunk(inputs)}

    return {"serving_default": serve}
