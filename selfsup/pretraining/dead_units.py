"""Finds dead units: channels of a ReLU that are zero everywhere in a batch."""

from __future__ import annotations

import collections

import tensorflow as tf

_RELUS = ("Relu", "Relu6")
# Operations that may be between a layer and its ReLU.
_PASS_ON = ("Cast", "Identity")


class ReluOutputs:
    """Collects the outputs of all ReLUs that are traced in the block.

    A context manager for use while a `tf.function` is traced. It needs no help from the
    layers, because it looks for ReLUs in the graph. It does not see ReLUs inside
    functions that the block calls, such as those of `tf.recompute_grad`.
    """

    def __init__(self) -> None:
        self._graph: tf.Graph | None = None
        self._operations_before = 0
        self._outputs: dict[str, list[tf.Tensor]] = {}

    def __enter__(self) -> ReluOutputs:
        self._graph = tf.compat.v1.get_default_graph()
        self._operations_before = len(self._graph.get_operations())
        return self

    def __exit__(self, *error: object) -> None:
        outputs = collections.defaultdict(list)
        assert self._graph is not None
        for operation in self._graph.get_operations()[self._operations_before :]:
            if operation.type in _RELUS and operation.outputs[0].shape.rank:
                outputs[_layer_before(operation)].append(operation.outputs[0])
        self._outputs = dict(outputs)

    def dead_units(self) -> dict[str, tf.Tensor]:
        """Finds the units that are zero at all positions of the batch.

        Call this in the graph of the block.

        Returns:
          bool [C] by layer. The name of a layer is the scope of the operation before the
          ReLU, such as "colorization_head/conv1". A unit of a layer that is called
          several times is dead if it is zero in every call.
        """
        return {
            layer: tf.reduce_all([_is_zero(output) for output in outputs], axis=0)
            for layer, outputs in self._outputs.items()
        }


def _layer_before(operation: tf.Operation) -> str:
    """Scope of the operation before a ReLU; the operation's own name without a scope."""
    source = operation.inputs[0].op
    while source.type in _PASS_ON:
        source = source.inputs[0].op
    scope, _, name = source.name.rpartition("/")
    return scope or name


def _is_zero(output: tf.Tensor) -> tf.Tensor:
    positions = list(range(output.shape.rank - 1))
    return tf.reduce_all(output <= 0, axis=positions)
