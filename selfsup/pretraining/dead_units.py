"""Finds the units of a network that never give anything but zero."""

from __future__ import annotations

import collections

import tensorflow as tf

# Operations whose units are dead where they give nothing but zeros.
_RECTIFIERS = ("Relu", "Relu6")
# Operations that may stand between a layer and its ReLU.
_PASS_ON = ("Cast", "Identity")


class ReluOutputs:
    """Finds the ReLUs that are traced in its block, whichever layer they are in.

    A context manager, to be entered while a `tf.function` is traced. It does not see
    the inside of functions that the block calls, such as `tf.recompute_grad`'s.
    """

    def __init__(self):
        self._graph = None
        self._operations_before = 0
        self._outputs = {}

    def __enter__(self) -> ReluOutputs:
        self._graph = tf.compat.v1.get_default_graph()
        self._operations_before = len(self._graph.get_operations())
        return self

    def __exit__(self, *error):
        found = collections.defaultdict(list)
        for operation in self._graph.get_operations()[self._operations_before :]:
            if operation.type in _RECTIFIERS and operation.outputs[0].shape.rank:
                found[_layer_before(operation)].append(operation.outputs[0])
        self._outputs = dict(found)

    def dead_units(self) -> dict[str, tf.Tensor]:
        """Bool [C] by layer: the units that are zero at all positions of the batch.

        To be called in the graph of the block. A layer is named by the scope of what
        feeds the ReLU, such as "colorization_head/conv1"; of a layer that is called
        several times, a unit is dead where it is in every call.
        """
        return {
            layer: tf.reduce_all([_is_zero(output) for output in outputs], axis=0)
            for layer, outputs in self._outputs.items()
        }


def _layer_before(operation):
    """Scope of the operation that feeds this one; its own name where that has none."""
    source = operation.inputs[0].op
    while source.type in _PASS_ON:
        source = source.inputs[0].op
    scope, _, name = source.name.rpartition("/")
    return scope or name


def _is_zero(output):
    positions = list(range(output.shape.rank - 1))
    return tf.reduce_all(output <= 0, axis=positions)
