"""How much memory a task's training step takes, worked out from its graph."""

from __future__ import annotations

import collections

import tensorflow as tf

from selfsup.pretraining.network import MultiTaskNetwork

# Their results are their inputs' buffers.
_SAME_BUFFER = {"ExpandDims", "Identity", "IdentityN", "Reshape", "Squeeze"}
# Their result is a variable, the caller's, or too small to count.
_NO_BUFFER = {"Const", "NoOp", "Placeholder", "ReadVariableOp", "Shape"}
# TensorFlow writes their result into an input that nothing else reads any more.
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


def step_graph(network: MultiTaskNetwork, name: str, examples) -> tf.Graph:
    """The graph of one replica's step: preprocessing, forward, and all gradients.

    Args:
      network: with the variables of the task built.
      name: the task.
      examples: dict of batched tensors or their `tf.TensorSpec`s.
    """
    seed = tf.zeros([2], tf.int32)
    variables = network.trained_variables(name)

    def step(batch):
        with tf.GradientTape() as tape:
            total, logs = network.objective(name, batch, seed)
        gradients = tape.gradient(total, variables)
        return total, logs, [one for one in gradients if one is not None]

    specs = tf.nest.map_structure(
        lambda one: tf.TensorSpec(one.shape, one.dtype), examples
    )
    return tf.function(step).get_concrete_function(specs).graph


def peak_bytes(graph: tf.Graph) -> int:
    """Most bytes that the results of a graph's operations take at one time.

    The operations run one after the other in the order in which they were made, which
    is that of a GPU's stream; a result lives until its last reader has run, and the
    graph's outputs, the gradients among them, to the end. Variables, workspaces and
    what an allocator loses to gaps are not in it.

    Args:
      graph: of static shapes; a result whose shape is unknown counts nothing.
    """
    operations = graph.get_operations()
    owner = _buffers(operations)
    last_reader = _last_readers(operations, graph.outputs, owner)
    ends = collections.defaultdict(list)
    sizes, live, most = {}, 0, 0
    for index, operation in enumerate(operations):
        for tensor in operation.outputs:
            if owner[tensor.ref()] != tensor.ref():
                continue
            size = 0 if operation.type in _NO_BUFFER else _size(tensor)
            taken = _taken_over(operation, size, sizes, owner, last_reader, index)
            live += size - sizes.pop(taken, 0)
            sizes[tensor.ref()] = size
            ends[last_reader.get(tensor.ref(), index)].append(tensor.ref())
        most = max(most, live)
        for buffer in ends.pop(index, ()):
            live -= sizes.pop(buffer, 0)
    return most


def _last_readers(operations, outputs, owner):
    """{buffer: index of the last operation that reads it}, past all for outputs."""
    last = {}
    for index, operation in enumerate(operations):
        for tensor in operation.inputs:
            last[owner[tensor.ref()]] = index
    return {**last, **{owner[tensor.ref()]: len(operations) for tensor in outputs}}


def _buffers(operations):
    """{reference of a tensor: that of the tensor in whose buffer it is}."""
    owner = {}
    for operation in operations:
        inputs = operation.inputs if operation.type in _SAME_BUFFER else ()
        for number, tensor in enumerate(operation.outputs):
            own = owner[inputs[number].ref()] if inputs else tensor.ref()
            owner[tensor.ref()] = own
    return owner


def _taken_over(operation, size, sizes, owner, last_reader, index):
    """The buffer of an input that the operation's result takes over, or None."""
    if operation.type not in _IN_PLACE:
        return None
    for tensor in operation.inputs:
        buffer = owner[tensor.ref()]
        if last_reader[buffer] == index and sizes.get(buffer) == size:
            return buffer
    return None


def _size(tensor):
    elements = tensor.shape.num_elements()
    return 0 if elements is None else elements * tensor.dtype.size
