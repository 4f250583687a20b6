"""Workloads on a made-up batch that is always the same: no input to wait for."""

import numpy as np
import tensorflow as tf

from selfsup.data import pipeline, records
from selfsup.hybrid.placement import local_cpu
from selfsup.hybrid.workload import Model, Replica, Workload
from selfsup.pretraining.network import build_network

# (height, width) of made-up inputs: a usual photo, and section 2.4's frames.
_PHOTO, _FRAME = (375, 500), (240, 320)


def make(config, name, copies=False, **options):
    """A task's `Workload`, with networks of its own.

    Args:
      config: a `RunConfig`.
      name: of the task.
      copies: whether there are to be replicas beside the master.
      **options: of `Workload`.

    Returns:
      (workload, examples): and the batch, a dict of tensors.
    """
    size = config.tasks[name].batch_size
    examples, master = _build(config, name)
    copied = None
    if copies:
        with tf.device(local_cpu()):
            _, copied = _build(config, name)
    workload = Workload(
        name=name,
        master=_replica(master, examples, size),
        learning_rate=config.tasks[name].learning_rate,
        seed=1,
        make_replica=lambda _index, _count: _replica(copied, examples, size),
        **options,
    )
    return workload, examples


def _build(config, name):
    network = build_network(config, [name])
    task = network.tasks[name]
    examples = _batch(task, config.tasks[name].batch_size)
    network.build(name, examples)

    def objective(inputs, seed):
        return network.objective(name, inputs, seed)

    model = Model(objective, network.trained_variables(name), network.statistics(name))
    return examples, model


def _replica(model, examples, size):
    def batches(position):
        del position
        return tf.data.Dataset.from_tensors(examples).repeat().prefetch(2)

    return Replica(model, batches, size)


def _batch(task, size):
    """A batch of what the task cuts out of a made-up photo or frame."""
    record = pipeline.parse(_record(task.features), task.features)
    rows = [
        task.preprocess_example(record, pipeline.example_seed(1, position))
        for position in range(size)
    ]
    return {key: tf.stack([row[key] for row in rows]) for key in rows[0]}


def _record(features):
    random = np.random.default_rng(0)
    with_mask = records.MOTION_MASK in features
    height, width = _FRAME if with_mask else _PHOTO
    # Blocks of one color: of single pixels, resizing leaves only gray.
    blocks = random.integers(0, 256, [height // 8 + 1, width // 8 + 1, 3], np.uint8)
    image = np.kron(blocks, np.ones([8, 8, 1], np.uint8))[:height, :width]
    mask = b""
    if with_mask:
        cells = random.integers(0, 2, [height // 8, width // 8, 1], np.uint8)
        mask = tf.io.encode_png(cells).numpy()
    return records.serialize(
        key="made up",
        encoded=tf.io.encode_jpeg(image).numpy(),
        height=height,
        width=width,
        motion_mask=mask,
        label=0,
    )
