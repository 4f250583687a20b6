"""A copy of all variables has the structure of the original."""

import mock_tasks
import numpy as np
import pytest
import tensorflow as tf

from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.host_copy import HostCopy
from selfsup.hybrid.rmsprop import RMSProp
from selfsup.keras import keras

NAME = "checkpoint-000000001"


def _original(value):
    """Returns lists, dicts, Keras layers, integers, a variable with two paths, a cycle."""
    network = mock_tasks.Network(("a", "bb"))
    dense = keras.layers.Dense(3)
    dense.build([None, 2])
    network.layers = [dense, keras.Sequential([dense])]
    network.again = network.shared
    network.me = network
    network.count = tf.Variable(value, dtype=tf.int64, trainable=False)
    optimizers = {"a": RMSProp([network.shared, dense.kernel])}
    root = tf.train.Checkpoint(network=network, optimizers=optimizers)
    for variable in _variables(root):
        variable.assign(tf.cast(tf.fill(variable.shape, value), variable.dtype))
    return root


def _variables(root):
    below = tf.train.TrackableView(root).descendants()
    return [each for each in below if isinstance(each, tf.Variable)]


def _values(root):
    return {float(np.mean(variable)) for variable in _variables(root)}


def test_it_holds_the_values_of_the_last_update():
    original = _original(1)
    copy = HostCopy(original)
    copy.update()
    for variable in _variables(original):
        variable.assign_add(tf.ones_like(variable))
    assert (_values(copy.trackable), _values(original)) == ({1.0}, {2.0})
    copy.update()
    assert _values(copy.trackable) == {2.0}
    assert len(_variables(copy.trackable)) == len(_variables(original))


@pytest.mark.parametrize("write_copy", [True, False])
def test_a_checkpoint_of_either_restores_the_other(tmp_path, write_copy):
    store = CheckpointStore(str(tmp_path))
    writes, reads = _original(3), _original(0)
    if write_copy:
        copy = HostCopy(writes)
        copy.update()
        store.save(NAME, copy.trackable, {})
        store.restore(NAME, reads)
        assert _values(reads) == {3.0}
    else:
        store.save(NAME, writes, {})
        copy = HostCopy(reads)
        store.restore(NAME, copy.trackable)
        assert _values(copy.trackable) == {3.0}
