"""Keras 2, under the name that the installed TensorFlow gives it.

Since TensorFlow 2.16, `tf.keras` is Keras 3. This package, TensorFlow Hub and TensorFlow
Models need Keras 2, which the package tf-keras provides for each newer TensorFlow.
The environment variable TF_USE_LEGACY_KERAS has the same effect, but only if it is set
before anything imports TensorFlow, which a library cannot ensure.
"""

import tensorflow as tf

# The Keras 2 inside TensorFlow has no function `version`.
if hasattr(tf.keras, "version") and tf.keras.version().startswith("3."):
    import tf_keras as keras
else:
    keras = tf.keras

__all__ = ["keras"]
