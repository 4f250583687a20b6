"""Workloads on a synthetic batch that is always the same: no step waits for input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from selfsup.data import pipeline, records
from selfsup.hybrid.placement import local_cpu
from selfsup.hybrid.workload import Model, Replica, Workload
from selfsup.pretraining.network import MultiTaskNetwork, build_network

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig
    from selfsup.tasks.task import Task

# (height, width) of the images: of a usual photo, and of the frames of paper section 2.4.
_PHOTO, _FRAME = (375, 500), (240, 320)

Batch = dict[str, tf.Tensor]


def make(
    config: RunConfig, name: str, replicated: bool = False, **options: Any
) -> tuple[Workload, Batch]:
    """Makes a task's workload with a new network.

    Args:
      config: configuration of the run.
      name: name of the task.
      replicated: whether the workload can make replicas of the master.
      **options: more fields of the `Workload`.

    Returns:
      (workload, batch).
    """
    size = config.tasks[name].batch_size
    examples, master = _build(config, name, build_network(config, [name]))
    make_replica = None
    if replicated:
        with tf.device(local_cpu()):
            _, pattern = _build(config, name, build_network(config, [name]))

        def make_replica(_index: int, _count: int) -> Replica:
            return _replica(pattern, examples, size)

    workload = Workload(
        name=name,
        master=_replica(master, examples, size),
        learning_rate=config.tasks[name].learning_rate,
        seed=1,
        make_replica=make_replica,
        **options,
    )
    return workload, examples


def make_joint(config: RunConfig) -> dict[str, Workload]:
    """Makes the workloads of all tasks of a run on one network, by task."""
    network = build_network(config)
    made = {}
    for name, task in config.tasks.items():
        examples, model = _build(config, name, network)
        made[name] = Workload(
            name=name,
            master=_replica(model, examples, task.batch_size),
            learning_rate=task.learning_rate,
            seed=1,
        )
    return made


def _build(
    config: RunConfig, name: str, network: MultiTaskNetwork
) -> tuple[Batch, Model]:
    task = network.tasks[name]
    examples = synthetic_batch(task, config.tasks[name].batch_size)
    network.build(name, examples)

    def objective(
        inputs: Batch, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return network.objective(name, inputs, seed)

    model = Model(objective, network.trained_variables(name), network.statistics(name))
    return examples, model


def _replica(model: Model, examples: Batch, size: int) -> Replica:
    def batches(position: int) -> tf.data.Dataset:
        del position
        return tf.data.Dataset.from_tensors(examples).repeat().prefetch(2)

    return Replica(model, batches, size)


def synthetic_batch(task: Task, size: int) -> Batch:
    """A batch of what the task cuts out of a synthetic photo or frame."""
    record = pipeline.parse(_record(task.features), task.features)
    rows = [
        task.preprocess_example(record, pipeline.example_seed(1, position))
        for position in range(size)
    ]
    return {key: tf.stack([row[key] for row in rows]) for key in rows[0]}


def _record(features: Sequence[str]) -> bytes:
    random = np.random.default_rng(0)
    with_mask = records.MOTION_MASK in features
    height, width = _FRAME if with_mask else _PHOTO
    # Blocks of one color each: single random pixels would become gray when resized.
    blocks = random.integers(0, 256, [height // 8 + 1, width // 8 + 1, 3], np.uint8)
    image = np.kron(blocks, np.ones([8, 8, 1], np.uint8))[:height, :width]
    mask = b""
    if with_mask:
        cells = random.integers(0, 2, [height // 8, width // 8, 1], np.uint8)
        mask = tf.io.encode_png(cells).numpy()
    return records.serialize(
        key="synthetic",
        encoded=tf.io.encode_jpeg(image).numpy(),
        height=height,
        width=width,
        motion_mask=mask,
        label=0,
    )
