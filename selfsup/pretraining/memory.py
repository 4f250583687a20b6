"""Estimates the memory that a training step needs, from its graph."""

from __future__ import annotations

import collections
from collections.abc import Hashable, Iterable, Mapping

import tensorflow as tf

from selfsup.pretraining.network import MultiTaskNetwork, tensor_specs

# `tf.Tensor.ref()`: a tensor as the key of a dict.
_Reference = Hashable
# Operations whose results are in the buffers of their inputs.
_SAME_BUFFER = {"ExpandDims", "Identity", "IdentityN", "Reshape", "Squeeze"}
# Operations whose result is a variable, belongs to the caller, or is too small to count.
_NO_BUFFER = {"Const", "NoOp", "Placeholder", "ReadVariableOp", "Shape"}
# Operations whose result TensorFlow writes into an input that is not read again.
_IN_PLACE = {
    "Add",
    "AddN",
    "AddV2",
    "BiasAdd",
    "Maximum",
    "Mul",
    "Neg",
    "RealDiv",
    "Relu",
    "ReluGrad",
    "Rsqrt",
    "Sigmoid",
    "Square",
    "Sub",
}


def step_graph(
    network: MultiTaskNetwork,
    name: str,
    examples: Mapping[str, tf.Tensor | tf.TensorSpec],
) -> tf.Graph:
    """Traces the step of one replica: preprocessing, forward pass, and all gradients.

    Args:
      network: the network, with the variables of the task built.
      name: the task.
      examples: batched tensors of the task or their specs.
    """
    seed = tf.zeros([2], tf.int32)
    variables = network.trained_variables(name)

    def step(
        batch: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            total, logs = network.objective(name, batch, seed)
        gradients = tape.gradient(total, variables)
        return total, logs, [each for each in gradients if each is not None]

    return tf.function(step).get_concrete_function(tensor_specs(examples)).graph


def peak_bytes(graph: tf.Graph) -> int:
    """Computes the most bytes that results of a graph's operations take at one time.

    The operations are assumed to run one after the other in the order of their creation,
    as in the stream of a GPU. A result is kept until its last reader has run. The
    outputs of the graph, such as the gradients, are kept to the end. Variables, the
    workspaces of operations, and the gaps that an allocator leaves are not included.

    Args:
      graph: a graph with static shapes. Results of unknown shape are not counted.
    """
    operations = graph.get_operations()
    owner = _buffers(operations)
    last_reader = _last_readers(operations, graph.outputs, owner)
    ends: dict[int, list[_Reference]] = collections.defaultdict(list)
    sizes: dict[_Reference, int] = {}
    live, peak = 0, 0
    for index, operation in enumerate(operations):
        for tensor in operation.outputs:
            if owner[tensor.ref()] != tensor.ref():
                continue
            size = 0 if operation.type in _NO_BUFFER else _size(tensor)
            reused = _reused_buffer(operation, size, sizes, owner, last_reader, index)
            live += size - sizes.pop(reused, 0)
            sizes[tensor.ref()] = size
            ends[last_reader.get(tensor.ref(), index)].append(tensor.ref())
        peak = max(peak, live)
        for buffer in ends.pop(index, ()):
            live -= sizes.pop(buffer, 0)
    return peak


def _last_readers(
    operations: list[tf.Operation],
    outputs: Iterable[tf.Tensor],
    owner: Mapping[_Reference, _Reference],
) -> dict[_Reference, int]:
    """By buffer, the index of the last operation that reads it.

    For the outputs of the graph the index is past all operations.
    """
    last = {}
    for index, operation in enumerate(operations):
        for tensor in operation.inputs:
            last[owner[tensor.ref()]] = index
    return {**last, **{owner[tensor.ref()]: len(operations) for tensor in outputs}}


def _buffers(operations: list[tf.Operation]) -> dict[_Reference, _Reference]:
    """By tensor, the tensor that owns the buffer in which the tensor is."""
    owner: dict[_Reference, _Reference] = {}
    for operation in operations:
        inputs = operation.inputs if operation.type in _SAME_BUFFER else ()
        for number, tensor in enumerate(operation.outputs):
            own = owner[inputs[number].ref()] if inputs else tensor.ref()
            owner[tensor.ref()] = own
    return owner


def _reused_buffer(
    operation: tf.Operation,
    size: int,
    sizes: Mapping[_Reference, int],
    owner: Mapping[_Reference, _Reference],
    last_reader: Mapping[_Reference, int],
    index: int,
) -> _Reference | None:
    """The buffer of an input in which the operation's result is written, or None."""
    if operation.type not in _IN_PLACE:
        return None
    for tensor in operation.inputs:
        buffer = owner[tensor.ref()]
        if last_reader[buffer] == index and sizes.get(buffer) == size:
            return buffer
    return None


def _size(tensor: tf.Tensor) -> int:
    """Bytes of a tensor; 0 if its shape is unknown."""
    elements = tensor.shape.num_elements()
    return 0 if elements is None else int(elements * tensor.dtype.size)
