"""How much memory a task's training step takes, worked out from its graph."""

from __future__ import annotations

import collections

import tensorflow as tf

from selfsup.multitask import MultiTaskNetwork

# Their result is their input's buffer, or a variable's, or too small to count.
_NO_BUFFER = {
    "Const",
    "ExpandDims",
    "Identity",
    "IdentityN",
    "NoOp",
    "Placeholder",
    "ReadVariableOp",
    "Reshape",
    "Shape",
    "Squeeze",
    "StopGradient",
}
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
    last = {}
    for index, operation in enumerate(operations):
        for tensor in operation.inputs:
            last[owner[tensor.ref()]] = index
    for tensor in graph.outputs:
        last[owner[tensor.ref()]] = len(operations)
    ends = collections.defaultdict(list)
    live, most, alive = 0, 0, {}
    for index, operation in enumerate(operations):
        for tensor in operation.outputs:
            buffer = owner[tensor.ref()]
            if buffer is not tensor.ref() and buffer != tensor.ref():
                continue
            size = _size(tensor) if operation.type not in _NO_BUFFER else 0
            reused = _reused(operation, size, alive, owner, last, index)
            if reused is not None:
                size -= alive.pop(reused)
            live += size
            alive[buffer] = _size(tensor) if operation.type not in _NO_BUFFER else 0
            ends[last.get(buffer, index)].append(buffer)
        most = max(most, live)
        for buffer in ends.pop(index, ()):
            live -= alive.pop(buffer, 0)
    return most


def _buffers(operations):
    """{tensor's reference: that of the tensor in whose buffer it is}."""
    owner = {}
    for operation in operations:
        passes = operation.type in _NO_BUFFER and len(operation.inputs) > 0
        for number, tensor in enumerate(operation.outputs):
            if passes and operation.type != "Shape":
                source = operation.inputs[min(number, len(operation.inputs) - 1)]
                owner[tensor.ref()] = owner[source.ref()]
            else:
                owner[tensor.ref()] = tensor.ref()
    return owner


def _reused(operation, size, alive, owner, last, index):
    """The buffer of an input that the operation's result takes over, or None."""
    if operation.type not in _IN_PLACE:
        return None
    for tensor in operation.inputs:
        buffer = owner[tensor.ref()]
        if last.get(buffer) == index and alive.get(buffer) == size:
            return buffer
    return None


def _size(tensor):
    elements = tensor.shape.num_elements()
    return 0 if elements is None else elements * tensor.dtype.size
