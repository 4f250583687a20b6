"""A `ParallelEngine` over the mock tasks, whose devices can be made to fail."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np
import tensorflow as tf
from mock_tasks import FULL_RATE, Network, workload

from selfsup.common.stop_signals import StopSignals
from selfsup.hybrid import aggregation
from selfsup.hybrid.checkpoint import CheckpointStore
from selfsup.hybrid.cost_clock import CostClock
from selfsup.hybrid.device_pool import LocalPool
from selfsup.hybrid.parallel_engine import ParallelEngine
from selfsup.hybrid.workload import Replica, Workload

# Nothing is read ahead. Deleting an iterator that reads ahead sometimes took a minute,
# probably because it waits for Python's global lock, which the garbage collector holds.
_NO_READ_AHEAD = tf.data.Options()
_NO_READ_AHEAD.autotune.enabled = False
_NO_READ_AHEAD.experimental_optimization.inject_prefetch = False

DEVICES = {"a": ("/CPU:1", "/CPU:2"), "bb": ("/CPU:3",)}


class DeviceFaults:
    """Faults of devices; called when a replica on a device reads its input.

    Attributes:
      seconds: delay of each read, by device.
      broken: devices on which reading fails.
      hangs: events by device; reading waits for the event.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.broken: set[str] = set()
        self.hangs: dict[str, threading.Event] = {}

    def __call__(self, device: str) -> np.float32:
        if device in self.hangs:
            self.hangs[device].wait()
        if device in self.broken:
            raise OSError(f"{device} is gone")
        time.sleep(self.seconds.get(device, 0.0))
        return np.float32(0)


class Pool(LocalPool):
    """Devices that do not answer while they are broken or hang."""

    def __init__(self, faults: DeviceFaults) -> None:
        self.faults = faults

    def alive(self, devices: Sequence[str]) -> tuple[str, ...]:
        gone = self.faults.broken | set(self.faults.hangs)
        return tuple(device for device in devices if device not in gone)

    def is_device_failure(self, error: Exception) -> bool:
        return "is gone" in str(error)


def _with_faults(original: Workload, faults: DeviceFaults) -> Workload:
    """Makes the input of each replica pass through `faults`."""

    def make_replica(index: int, count: int) -> Replica:
        # The current device is the one for which the replica is made.
        device = "/CPU:" + tf.zeros([]).device.rsplit(":", 1)[1]
        assert original.make_replica is not None
        replica = original.make_replica(index, count)

        def batches(position: int) -> tf.data.Dataset:
            def pass_through(batch: tf.Tensor) -> tf.Tensor:
                zero = tf.numpy_function(lambda: faults(device), [], tf.float32)
                return batch + zero

            dataset = replica.batches(position).map(pass_through)
            return dataset.with_options(_NO_READ_AHEAD)

        return dataclasses.replace(replica, batches=batches)

    return dataclasses.replace(original, make_replica=make_replica)


def parallel_engine(
    directory: str | os.PathLike[str],
    limits: Mapping[str, int],
    faults: DeviceFaults | None = None,
    devices: Mapping[str, Sequence[str]] | None = None,
    mode: str = "hybrid",
    clock: CostClock | None = None,
    **options: Any,
) -> tuple[Network, ParallelEngine, list[str]]:
    """Makes a new mock network, and a `ParallelEngine` that trains it.

    Args:
      directory: folder of the checkpoints.
      limits: number of steps by task.
      faults: the faults of the devices; None for no faults.
      devices: device names by task; None for `DEVICES`.
      mode: name in `aggregation.MODES`.
      clock: the cost clock; None for a clock without costs.
      **options: more arguments of the engine.

    Returns:
      (network, engine, list to which the engine's messages are added).
    """
    faults = faults or DeviceFaults()
    network = Network(tuple(limits))
    workloads = [_with_faults(workload(network, name), faults) for name in limits]
    aggregated = aggregation.MODES[mode](workloads, FULL_RATE, devices or DEVICES)
    messages: list[str] = []
    engine = ParallelEngine(
        aggregated.groups,
        dict.fromkeys(limits, 1.0),
        limits,
        clock or CostClock({}, 0.0),
        CheckpointStore(str(directory)),
        tf.train.Checkpoint(network=network, optimizers=aggregated.optimizers),
        steppers=aggregated.steppers,
        pool=Pool(faults),
        say=messages.append,
        **options,
    )
    return network, engine, messages


def run(
    engine: ParallelEngine,
    checkpoint_seconds: float = 1e9,
    after_step: Callable[[str], None] | None = None,
) -> list[tuple[str, float]]:
    """Runs an engine until it is finished.

    Args:
      engine: the engine.
      checkpoint_seconds: seconds between checkpoints.
      after_step: is called with the task after each step.

    Returns:
      (task, loss) of each step.
    """
    steps = []

    def note(name: str, logs: dict[str, float], seconds: float) -> None:
        del seconds
        steps.append((name, logs["loss"]))
        if after_step:
            after_step(name)

    engine.run(StopSignals(), checkpoint_seconds, note)
    return steps
