"""Mock tasks over a shared dense layer: all that the training loop needs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from selfsup.hybrid.assignment import even_share
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.engine import Engine
from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import RMSPropConfig
from selfsup.hybrid.workload import Model, Replica, Workload

BATCH = 4
# No warm-up: runs of a few steps would finish before it ends.
FULL_RATE = RMSPropConfig(warmup_steps=0)


class Network(tf.Module):
    """A linear shared layer, a head for each task, and a statistic.

    Attributes:
      shared: float32 [3, 2].
      heads: float32 [2, 1] by task.
      moving_mean: float32 [3], which the forward pass updates.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        random = np.random.default_rng(0)
        self.shared = tf.Variable(random.normal(size=(3, 2)).astype(np.float32))
        self.heads = {
            name: tf.Variable(random.normal(size=(2, 1)).astype(np.float32))
            for name in names
        }
        self.moving_mean = tf.Variable(tf.zeros([3]), trainable=False)

    def objective(
        self, name: str, inputs: tf.Tensor, poisoned: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns (scalar to minimise, logs); the scalar is NaN if `poisoned`."""
        self.moving_mean.assign(
            0.9 * self.moving_mean + 0.1 * tf.reduce_mean(inputs, 0)
        )
        outputs = tf.tanh(inputs @ self.shared) @ self.heads[name]
        targets = tf.reduce_sum(inputs, axis=1, keepdims=True)
        loss = tf.reduce_mean((outputs - targets) ** 2)
        return loss + tf.where(poisoned, np.nan, 0.0), {"loss": loss}


def batches(name: str, position: int, nan_inputs: bool = False) -> tf.data.Dataset:
    """Inputs without end, float32 [4, 3], which depend on name and position only."""

    def example(index: tf.Tensor) -> tf.Tensor:
        values = tf.random.stateless_normal([3], [len(name), tf.cast(index, tf.int32)])
        return values * np.nan if nan_inputs else values

    return tf.data.Dataset.counter(position).map(example).batch(BATCH)


def part_of(
    name: str, index: int, count: int, nan_inputs: bool = False
) -> Callable[[int], tf.data.Dataset]:
    """Maps a position to the examples of part `index` of `count` of each batch."""
    sizes = [even_share(BATCH, part, count) for part in range(count)]

    def part(position: int) -> tf.data.Dataset:
        first = position // sizes[index] * BATCH
        whole = batches(name, first, nan_inputs)
        start = sum(sizes[:index])
        return whole.map(lambda batch: batch[start : start + sizes[index]])

    return part


def workload(
    network: Network,
    name: str,
    poisoned_steps: Sequence[int] = (),
    nan_inputs: bool = False,
    replaced_shards: Callable[[tf.Tensor], tf.Tensor] | None = None,
    poisoned: int | None = None,
    learning_rate: float | Callable[[tf.Tensor], tf.Tensor] = 0.01,
    own_batches: bool = False,
    rate_factor: Callable[[], float] | None = None,
    loss_scale: float = 1.0,
) -> Workload:
    """Makes the workload of a head.

    Args:
      network: the master network.
      name: name of the task.
      poisoned_steps: steps with a NaN loss.
      nan_inputs: whether all inputs are NaN.
      replaced_shards: see `Replica`.
      poisoned: the only replica whose loss is NaN in these steps; None for all.
      learning_rate: see `Workload`.
      own_batches: whether each replica has different batches. Otherwise the replicas
        share each batch, and can be compared with the master on the whole batch.
      rate_factor: see `Workload`.
      loss_scale: multiplies the loss.
    """

    def replica(network: Network, index: int, count: int) -> Replica:
        def objective(
            inputs: tf.Tensor, seed: tf.Tensor
        ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            bad = tf.reduce_any(seed[1] == tf.constant([-1, *poisoned_steps]))
            bad &= poisoned in (None, index)
            total, logs = network.objective(name, inputs, bad)
            return total * loss_scale, {"loss": logs["loss"] * loss_scale}

        return Replica(
            model=Model(
                objective,
                variables=[network.shared, network.heads[name]],
                statistics=[network.moving_mean],
            ),
            batches=(
                (lambda position: batches(name + index * "x", position, nan_inputs))
                if own_batches
                else part_of(name, index, count, nan_inputs)
            ),
            batch_size=BATCH if own_batches else even_share(BATCH, index, count),
            replaced_shards=replaced_shards,
        )

    return Workload(
        name=name,
        master=replica(network, 0, 1),
        learning_rate=learning_rate,
        seed=1,
        make_replica=lambda index, count: replica(Network([name]), index, count),
        rate_factor=rate_factor,
    )


def groups(
    network: Network,
    devices: Mapping[str, Sequence[str]] | None = None,
    rmsprop_config: RMSPropConfig = FULL_RATE,
    **options: Any,
) -> dict[str, Group]:
    """Makes a group for each head.

    Args:
      network: the master network.
      devices: devices of the replicas by task; a task without devices trains on the
        master variables.
      rmsprop_config: constants of RMSProp.
      **options: more arguments of `workload`.
    """
    devices = devices or {}
    return {
        name: Group(
            workload(network, name, **options),
            rmsprop_config,
            devices=devices.get(name, ()),
        )
        for name in network.heads
    }


def engine(
    directory: str | os.PathLike[str],
    limits: Mapping[str, int],
    weights: Mapping[str, float] | None = None,
    threshold: float = 0.0,
    step_costs: Mapping[str, float] | None = None,
    **options: Any,
) -> tuple[Network, Engine]:
    """Makes a new network, and an engine that trains it.

    Args:
      directory: folder of the checkpoints.
      limits: number of steps by task; the network has a head for each.
      weights: weights by task; None for equal weights.
      threshold: threshold of the cost clock.
      step_costs: costs of a step by task.
      **options: more arguments of `groups`.
    """
    network = Network(tuple(limits))
    task_groups = groups(network, **options)
    weights = weights or dict.fromkeys(limits, 1.0)
    clock = CostClock(dict(step_costs or {}), threshold)
    optimizers = {name: group.optimizer for name, group in task_groups.items()}
    trackable = tf.train.Checkpoint(network=network, optimizers=optimizers)
    store = CheckpointStore(str(directory))
    steppers = list(task_groups.values())
    return network, Engine(
        task_groups, weights, limits, clock, store, trackable, steppers=steppers
    )
