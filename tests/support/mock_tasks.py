"""Two mock tasks over one shared dense layer: the loop needs to know no more."""

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
# Runs of a few steps would be over before a warm-up.
FULL_RATE = RMSPropConfig(warmup_steps=0)


class Network(tf.Module):
    """shared: [3, 2]; a head [2, 1] for each task; a statistic that the forward moves."""

    def __init__(self, names):
        super().__init__()
        random = np.random.default_rng(0)
        self.shared = tf.Variable(random.normal(size=(3, 2)).astype(np.float32))
        self.heads = {
            name: tf.Variable(random.normal(size=(2, 1)).astype(np.float32))
            for name in names
        }
        self.moving_mean = tf.Variable(tf.zeros([3]), trainable=False)

    def objective(self, name, inputs, poisoned):
        self.moving_mean.assign(
            0.9 * self.moving_mean + 0.1 * tf.reduce_mean(inputs, 0)
        )
        outputs = tf.tanh(inputs @ self.shared) @ self.heads[name]
        targets = tf.reduce_sum(inputs, axis=1, keepdims=True)
        loss = tf.reduce_mean((outputs - targets) ** 2)
        return loss + tf.where(poisoned, np.nan, 0.0), {"loss": loss}


def batches(name, position, nan_inputs=False):
    """Endless inputs that follow from the position alone."""

    def example(index):
        values = tf.random.stateless_normal([3], [len(name), tf.cast(index, tf.int32)])
        return values * np.nan if nan_inputs else values

    return tf.data.Dataset.counter(position).map(example).batch(BATCH)


def part_of(name, index, count, nan_inputs=False):
    """position -> the examples of part `index` of `count` of each batch, in order."""
    sizes = [even_share(BATCH, one, count) for one in range(count)]

    def part(position):
        first = position // sizes[index] * BATCH
        whole = batches(name, first, nan_inputs)
        start = sum(sizes[:index])
        return whole.map(lambda batch: batch[start : start + sizes[index]])

    return part


def workload(
    network,
    name,
    poisoned_steps=(),
    nan_inputs=False,
    replacements=None,
    poisoned=None,
    learning_rate=0.01,
    own_batches=False,
):
    """The `Workload` of a head.

    Replicas share one batch, so that they can be compared with the master on all of
    it, or have one of their own each, with `own_batches`.
    Steps in `poisoned_steps` have a NaN loss, of the replica `poisoned` alone if given.
    """

    def replica(network, index, count):
        def objective(inputs, seed):
            bad = tf.reduce_any(seed[1] == tf.constant([-1, *poisoned_steps]))
            bad &= poisoned in (None, index)
            return network.objective(name, inputs, bad)

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
            replacements=replacements,
        )

    return Workload(
        name=name,
        master=replica(network, 0, 1),
        learning_rate=learning_rate,
        seed=1,
        make_replica=lambda index, count: replica(Network([name]), index, count),
    )


def groups(network, devices=None, rmsprop_config=FULL_RATE, **options):
    """A `Group` for each head; `devices` by name, or on the master itself."""
    devices = devices or {}
    return {
        name: Group(
            workload(network, name, **options),
            rmsprop_config,
            devices=devices.get(name, ()),
        )
        for name in network.heads
    }


def engine(directory, limits, weights=None, threshold=0.0, step_costs=None, **options):
    """An `Engine` over a new network with a head for each of `limits`."""
    network = Network(tuple(limits))
    made = groups(network, **options)
    weights = weights or dict.fromkeys(limits, 1.0)
    clock = CostClock(dict(step_costs or {}), threshold)
    optimizers = {name: group.optimizer for name, group in made.items()}
    trackable = tf.train.Checkpoint(network=network, optimizers=optimizers)
    store = CheckpointStore(str(directory))
    steppers = list(made.values())
    return network, Engine(
        made, weights, limits, clock, store, trackable, steppers=steppers
    )
