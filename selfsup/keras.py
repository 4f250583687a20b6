"""Keras 2, under the name that the installed TensorFlow gives it.

From TensorFlow 2.16 on, `tf.keras` is Keras 3. TensorFlow Hub's layers and tf-models'
are Keras 2's, which the package tf-keras maintains beside each TensorFlow release, and
so is all of our code. The environment variable TF_USE_LEGACY_KERAS does the same only
where it is set before anything imports TensorFlow, which a library cannot know.
"""

import tensorflow as tf

# Keras 2 inside TensorFlow has a version too, but no function that says it.
if hasattr(tf.keras, "version") and tf.keras.version().startswith("3."):
    import tf_keras as keras
else:
    keras = tf.keras

__all__ = ["keras"]
