"""Where variables live: spread over the parameter servers, or in this process."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def spread_over(devices):
    """A context in which each new variable goes to the device with the fewest bytes.

    What is made on an explicit device stays there: an optimizer's slots are beside
    their variables.

    Args:
      devices: device names.

    Yields:
      dict of bytes by device name, kept up to date.
    """
    held = dict.fromkeys(devices, 0)

    def create(next_creator, **kwargs):
        # Keras gives a callable and a shape; others a value.
        shape, dtype = kwargs.get("shape"), kwargs.get("dtype")
        value = kwargs["initial_value"]
        if shape is None or not tf.TensorShape(shape).is_fully_defined():
            value = value() if callable(value) else value
            value = tf.convert_to_tensor(value, dtype)
            shape, dtype = value.shape, value.dtype
            kwargs["initial_value"] = value
        device = min(held, key=held.get)
        dtype = tf.as_dtype(dtype or tf.float32)
        held[device] += tf.TensorShape(shape).num_elements() * dtype.size
        with tf.device(device):
            return next_creator(**kwargs)

    with tf.variable_creator_scope(create):
        yield held


def local_cpu():
    """The whole name of this process's CPU, which a cluster's roles change."""
    with tf.device("CPU:0"):
        return tf.zeros([]).device


def host_of(device):
    """The CPU of a device's machine, where its input pipeline runs."""
    if device is None:
        return None
    spec = tf.DeviceSpec.from_string(device)
    return spec.replace(device_type="CPU", device_index=0).to_string()
