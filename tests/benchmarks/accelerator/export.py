"""Writes training steps as HLO, with TensorFlow's own results beside them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

import numpy as np
import tensorflow as tf

from selfsup.hybrid.rmsprop import NAMED, RMSProp
from selfsup.pretraining import multiply_adds
from selfsup.pretraining.network import build_network
from selfsup.trunk import build_trunk
from selfsup.trunk.trunk import TrunkConfig
from tests.benchmarks.accelerator.arguments import (
    CONSTANT,
    NORMAL,
    STORED,
    UNIFORM,
    Argument,
    Digest,
    Step,
    digest,
)
from tests.benchmarks.loop import workloads

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig

_RATE = 1e-3
# The mean squares of gradients that RMSProp starts from.
_SQUARES = (1e-4, 1e-2)
# Operation -> how many of its first inputs it assigns.
_ASSIGNED = {
    "AssignVariableOp": 1,
    "AssignAddVariableOp": 1,
    "AssignSubVariableOp": 1,
    "ResourceApplyRMSProp": 3,
}
_TASK_NOTE = (
    "the input pipeline and preprocess_batch are outside (XLA has no projective warp)"
)

# (flat inputs) -> (loss, the other results).
Compute = Callable[..., "tuple[tf.Tensor, list[tf.Tensor]]"]


def write_trunk(
    config: TrunkConfig, batch: int, size: int, folder: pathlib.Path, compare: bool
) -> Step:
    """Writes a step of the trunk: the mean square of the features, and its gradient.

    Args:
      config: of the trunk.
      batch: number of images.
      size: side of the images in pixels.
      folder: where to write.
      compare: whether to compute the step with TensorFlow, too.
    """
    trunk = build_trunk(config)

    def compute(images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(trunk(images, training=True)))
        return loss, tape.gradient(loss, trunk.trainable_variables)

    form = "phases" if config.phases else "dilated"
    precision = "bfloat16" if config.mixed_precision else "float32"
    images = Argument("images", (batch, size, size, 3), "float32", UNIFORM, 0, 1)
    step = Step(
        name=f"trunk-{precision}-{form}-{batch}x{size}",
        images=batch,
        multiply_adds=_forward_multiply_adds(
            lambda x: trunk(x, training=False), images
        ),
        precision=precision,
        arguments=[images],
        outputs=["loss", *(v.name for v in trunk.trainable_variables)],
        digests=None,
        note="forward and backward pass",
    )
    return _write(step, compute, {}, trunk.variables, folder, compare)


def write_task(
    config: RunConfig, name: str, folder: pathlib.Path, compare: bool
) -> Step:
    """Writes a task's whole step: trunk, head, loss, weight decay, and RMSProp.

    Args:
      config: of the run.
      name: the task.
      folder: where to write.
      compare: whether to compute the step with TensorFlow, too.
    """
    network = build_network(config, [name])
    task = network.tasks[name]
    batch = workloads.synthetic_batch(task, config.tasks[name].batch_size)
    images, targets = task.preprocess_batch(batch, tf.constant([1, 2]))
    network.build(name, batch)
    variables = network.trained_variables(name)
    optimizer = RMSProp(variables, NAMED[config.rmsprop])
    keys = sorted(targets)

    def compute(
        images: tf.Tensor, *flat: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            outputs = network(name, images, training=True)
            loss = task.loss(outputs, dict(zip(keys, flat)))
            total = loss + network.penalty(name)
        gradients = tape.gradient(total, variables)
        optimizer.apply(variables, gradients, tf.constant(_RATE))
        return total, []

    precision = "bfloat16" if config.trunk.mixed_precision else "float32"
    form = "phases" if config.trunk.phases else "dilated"
    inputs = [
        Argument("images", tuple(images.shape), "float32", STORED),
        *(Argument(k, tuple(targets[k].shape), "", STORED) for k in keys),
    ]
    values = [images, *(targets[key] for key in keys)]
    step = Step(
        name=f"{name}-{precision}-{form}-{config.tasks[name].batch_size}",
        images=int(images.shape[0]),
        multiply_adds=_forward_multiply_adds(
            lambda x: network(name, x, training=False), inputs[0]
        ),
        precision=precision,
        arguments=[
            dataclasses.replace(each, dtype=value.dtype.name)
            for each, value in zip(inputs, values)
        ],
        outputs=["loss"],
        digests=None,
        note=_TASK_NOTE,
    )
    stored = {index: value.numpy() for index, value in enumerate(values)}
    slots = [*optimizer.mean_squares, *optimizer.momenta]
    owned = [*variables, *network.statistics(name), *slots]
    return _write(step, compute, stored, owned, folder, compare)


def _forward_multiply_adds(
    forward: Callable[[tf.Tensor], tf.Tensor], images: Argument
) -> int:
    spec = tf.TensorSpec(images.shape, tf.float32)
    graph = tf.function(forward, autograph=False).get_concrete_function(spec).graph
    return multiply_adds.count(graph)


def _write(
    step: Step,
    compute: Compute,
    stored: dict[int, np.ndarray],
    variables: Sequence[tf.Variable],
    folder: pathlib.Path,
    compare: bool,
) -> Step:
    """Compiles, describes the captured variables and constants, compares, and writes."""
    inputs = [
        tf.constant(each.value(index, stored))
        for index, each in enumerate(step.arguments)
    ]
    compiled = tf.function(compute, autograph=False, jit_compile=True)
    captured = compiled.get_concrete_function(*inputs).captured_inputs
    program = compiled.experimental_get_compiler_ir(*inputs)(stage="hlo_serialized")
    by_handle = {id(variable.handle): variable for variable in variables}
    arguments = list(step.arguments)
    owned: list[tuple[int, tf.Variable]] = []
    for tensor in captured:
        index = len(arguments)
        variable = by_handle.get(id(tensor))
        if variable is None:
            stored[index] = tensor.numpy()
            arguments.append(
                Argument("", tuple(tensor.shape), tensor.dtype.name, STORED)
            )
        else:
            owned.append((index, variable))
            arguments.append(_describe(variable))
    for index, variable in owned:
        variable.assign(arguments[index].value(index, stored))
    # XLA returns the updated variables after the results of the function.
    graph = compiled.get_concrete_function(*inputs).graph
    written = _written(graph)
    updated = [
        by_handle[id(outer)]
        for outer, placeholder in graph.captures
        if placeholder.name in written
    ]
    digests = _reference(compute, inputs, updated) if compare else None
    step = dataclasses.replace(
        step,
        arguments=arguments,
        outputs=[*step.outputs, *(variable.name for variable in updated)],
        digests=digests,
    )
    step.write(folder, program, stored)
    return step


def _reference(
    compute: Compute, inputs: Sequence[tf.Tensor], updated: Sequence[tf.Variable]
) -> list[Digest]:
    """Takes the step with TensorFlow's own kernels and summarises its results."""
    loss, others = tf.function(compute, autograph=False)(*inputs)
    return [
        digest(np.asarray(tf.cast(value, tf.float32)))
        for value in [loss, *others, *updated]
    ]


def _written(graph: tf.Graph) -> set[str]:
    """Names of the placeholders of captured variables that a graph assigns."""
    return {
        tensor.name
        for operation in graph.get_operations()
        for tensor in operation.inputs[: _ASSIGNED.get(operation.type, 0)]
    }


def _describe(variable: tf.Variable) -> Argument:
    """How to fill a variable so that activations and updates stay moderate."""
    name, shape = variable.name, tuple(variable.shape)
    described = {"name": name, "shape": shape, "dtype": variable.dtype.name}
    if len(shape) >= 2 and "kernel" in name:
        deviation = float(np.sqrt(2.0 / np.prod(shape[:-1])))
        return Argument(**described, kind=NORMAL, high=deviation)
    if "gamma" in name or "variance" in name:
        return Argument(**described, kind=UNIFORM, low=0.5, high=1.5)
    if "Variable" in name:
        # Slots of RMSProp, which have no names.
        return Argument(**described, kind=UNIFORM, low=_SQUARES[0], high=_SQUARES[1])
    return Argument(**described, kind=CONSTANT, low=0.0)
