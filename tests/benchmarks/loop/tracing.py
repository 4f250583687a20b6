"""Times a group from its creation to its first step, by its number of replicas."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.hybrid.group import Group
from selfsup.hybrid.rmsprop import NAMED
from tests.benchmarks.loop import workloads

if TYPE_CHECKING:
    from selfsup.pretraining.configuration import RunConfig


@dataclasses.dataclass(frozen=True)
class StartTimes:
    """The time that a group takes to start, in CPU seconds of all threads together.

    Attributes:
      replicas: number of replicas.
      replicate: until the replicas have their variables.
      first: the first step, which traces and optimises the function.
      later: a later step.
      elapsed: elapsed seconds until the end of the first step.
    """

    replicas: int
    replicate: float
    first: float
    later: float
    elapsed: float


def measure(config: RunConfig, name: str, replicas: int) -> StartTimes:
    """Starts a group with this many replicas, on logical CPU devices.

    Args:
      config: configuration of the run.
      name: name of the task.
      replicas: number of replicas; `make_devices` made a device for each.
    """
    with tf.device("/CPU:0"):
        workload, _ = workloads.make(config, name, replicated=True)
    start, marks = time.perf_counter(), [time.process_time()]
    devices = [f"/CPU:{index + 1}" for index in range(replicas)]
    group = Group(workload, NAMED[config.rmsprop], devices)
    marks.append(time.process_time())
    group.step()
    marks.append(time.process_time())
    elapsed = time.perf_counter() - start
    group.step()
    marks.append(time.process_time())
    replicate, first, later = (after - mark for mark, after in zip(marks, marks[1:]))
    return StartTimes(replicas, replicate, first, later, elapsed)


def make_devices(count: int) -> None:
    """Splits the CPU into a device for the master variables, and `count` others."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * (count + 1)
    tf.config.set_logical_device_configuration(cpu, parts)
