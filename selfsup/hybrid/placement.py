"""Where variables and input pipelines live: on parameter servers, or in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Callable

import tensorflow as tf


@contextlib.contextmanager
def spread_over(devices: Sequence[str]) -> Iterator[dict[str, int]]:
    """Places each new variable on the device that holds the fewest bytes.

    Variables that are made inside a `tf.device` block stay on its device, so an
    optimizer's slots stay beside their variables.

    Args:
      devices: device names.

    Yields:
      dict of the number of bytes by device name, kept up to date.
    """
    held = dict.fromkeys(devices, 0)

    # The arguments are those of `tf.Variable`, of several types.
    def create(next_creator: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
        # Keras passes a callable and a shape, others pass a value.
        shape, dtype = kwargs.get("shape"), kwargs.get("dtype")
        value = kwargs["initial_value"]
        if shape is None or not tf.TensorShape(shape).is_fully_defined():
            value = value() if callable(value) else value
            value = tf.convert_to_tensor(value, dtype)
            shape, dtype = value.shape, value.dtype
            kwargs["initial_value"] = value
        device = min(held, key=held.__getitem__)
        dtype = tf.as_dtype(dtype or tf.float32)
        held[device] += tf.TensorShape(shape).num_elements() * dtype.size
        with tf.device(device):
            return next_creator(**kwargs)

    with tf.variable_creator_scope(create):
        yield held


def local_cpu() -> str:
    """Returns the full name of this process's CPU, with its role in a cluster."""
    with tf.device("CPU:0"):
        return tf.zeros([]).device


def host_of(device: str) -> str:
    """Returns the name of the CPU of a device's machine, where its input pipeline runs."""
    spec = tf.DeviceSpec.from_string(device)
    return spec.replace(device_type="CPU", device_index=0).to_string()
