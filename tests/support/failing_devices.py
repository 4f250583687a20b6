"""A `ParallelEngine` over the mock tasks, whose devices can be made to fail."""

import time

import numpy as np
import tensorflow as tf
from mock_tasks import FULL_RATE, Network, workload

from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid import aggregation
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool
from selfsup.hybrid.parallel_engine import ParallelEngine

# Nothing read ahead: deleting such an iterator was seen to take a minute, it seems for
# want of the lock of Python, which the garbage collector holds meanwhile.
_ON_CALL = tf.data.Options()
_ON_CALL.autotune.enabled = False
_ON_CALL.experimental_optimization.inject_prefetch = False

DEVICES = {"a": ("/CPU:1", "/CPU:2"), "bb": ("/CPU:3",)}


class DeviceFaults:
    """What happens to the input of a device's replicas, as they read it."""

    def __init__(self):
        self.seconds = {}
        self.broken = set()
        self.hangs = {}

    def __call__(self, device):
        if device in self.hangs:
            self.hangs[device].wait()
        if device in self.broken:
            raise OSError(f"{device} is gone")
        time.sleep(self.seconds.get(device, 0.0))
        return np.float32(0)


class Pool(LocalPool):
    """Devices are gone while there is trouble with them."""

    def __init__(self, trouble):
        self.trouble = trouble

    def alive(self, devices):
        gone = self.trouble.broken | set(self.trouble.hangs)
        return tuple(device for device in devices if device not in gone)

    def is_device_failure(self, error):
        return "is gone" in str(error)


def _troubled(made, trouble):
    """The workload with each replica's input passing through `trouble`."""

    def make_replica(index, count):
        # The device that the copy is made on is the current one.
        device = "/CPU:" + tf.zeros([]).device.rsplit(":", 1)[1]
        replica = made.make_replica(index, count)

        def batches(position):
            def pass_through(batch):
                delay = tf.numpy_function(lambda: trouble(device), [], tf.float32)
                return batch + delay

            return replica.batches(position).map(pass_through).with_options(_ON_CALL)

        return replica.__class__(**{**vars(replica), "batches": batches})

    return made.__class__(**{**vars(made), "make_replica": make_replica})


def parallel_engine(
    directory, limits, trouble=None, devices=None, mode="hybrid", clock=None, **options
):
    """A `ParallelEngine` over a new mock network.

    Args:
      directory: of the checkpoints.
      limits: dict of steps by task.
      trouble: a `DeviceFaults`.
      devices: dict of device names by task.
      mode: of `aggregation.MODES`.
      clock: a `CostClock`.
      **options: of the engine.

    Returns:
      (network, engine, list that gets what the engine says).
    """
    trouble = trouble or DeviceFaults()
    devices = devices or DEVICES
    network = Network(tuple(limits))
    workloads = [_troubled(workload(network, name), trouble) for name in limits]
    made = aggregation.MODES[mode](workloads, FULL_RATE, devices)
    lines = []
    engine = ParallelEngine(
        made.groups,
        dict.fromkeys(limits, 1.0),
        limits,
        clock or CostClock({}, 0.0),
        CheckpointStore(str(directory)),
        tf.train.Checkpoint(network=network, optimizers=made.optimizers),
        pool=Pool(trouble),
        steppers=made.steppers,
        say=lines.append,
        **options,
    )
    return network, engine, lines


def run(engine, checkpoint_seconds=1e9, after_step=None):
    """Runs an engine to its end; returns a list of (task, loss) of the steps.

    `after_step` is called with the task.
    """
    taken = []

    def note(name, logs, seconds):
        taken.append((name, logs["loss"]))
        if after_step:
            after_step(name)

    engine.run(StopSignals(), checkpoint_seconds, note)
    return taken
